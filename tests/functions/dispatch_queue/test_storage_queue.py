"""Test the queue on Azurite, read in the way of the Functions host."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.queue import QueueClient, TextBase64DecodePolicy

from functions.dispatch_queue import messages
from functions.dispatch_queue.port import Batch
from functions.dispatch_queue.storage_queue import MAX_DEQUEUE_COUNT, QUEUE, open_storage_queue
from functions.errors import SettingsError, StorageUnavailableError
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.rollout import starts
from simulator import azurite
from simulator.azurite import AzuriteOptions
from simulator.hub.loopback import free_address
from tests.ports import free_ports

HOST_FILE = Path(__file__).parents[3] / "host.json"
BATCH = Batch("98233500000000-0123456789ab", 3, 7, DeviceSet.of([0, 1, 3]))


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    location: Path = tmp_path_factory.mktemp("azurite")
    address = free_address()
    blob, queue, table = free_ports(3, address)
    options = AzuriteOptions(
        location=location, address=address, blob_port=blob, queue_port=queue, table_port=table
    )
    with azurite.run(options) as connection_string:
        yield connection_string


def test_the_first_batch_creates_the_queue_and_the_host_can_read_it(account: str) -> None:
    open_storage_queue(account, None).put(BATCH, 0)
    reader = QueueClient.from_connection_string(
        account, QUEUE, message_decode_policy=TextBase64DecodePolicy()
    )
    (message,) = list(reader.receive_messages())
    assert messages.from_bytes(message.content.encode()) == BATCH
    reader.delete_message(message)


def test_a_delayed_batch_is_not_visible_yet(account: str) -> None:
    open_storage_queue(account, None).put(BATCH, 5)
    reader = QueueClient.from_connection_string(account, QUEUE)
    assert list(reader.receive_messages()) == []
    assert reader.get_queue_properties().approximate_message_count == 1


def test_a_delay_below_one_second_makes_a_batch_visible_at_once(account: str) -> None:
    reader = QueueClient.from_connection_string(account, QUEUE)
    open_storage_queue(account, None).put(BATCH, 0)
    reader.clear_messages()
    open_storage_queue(account, None).put(BATCH, -0.5)
    open_storage_queue(account, None).put(BATCH, 0.9)
    assert len(list(reader.receive_messages())) == 2


def test_a_delayed_batch_becomes_visible_after_its_delay(account: str) -> None:
    queue = open_storage_queue(account, None)
    reader = QueueClient.from_connection_string(account, QUEUE)
    queue.put(BATCH, 0)
    reader.clear_messages()
    start = time.monotonic()
    queue.put(BATCH, 1)
    while not list(reader.receive_messages()):
        assert time.monotonic() < start + 10
        time.sleep(0.05)
    assert time.monotonic() - start > 0.5


def test_a_deleted_queue_is_created_again(account: str) -> None:
    queue = open_storage_queue(account, None)
    queue.put(BATCH, 0)
    reader = QueueClient.from_connection_string(account, QUEUE)
    reader.delete_queue()
    queue.put(BATCH, 0)
    assert len(list(reader.receive_messages())) == 1


def test_a_message_is_json_in_base64_as_the_host_expects(account: str) -> None:
    host = json.loads(HOST_FILE.read_text())
    assert host["extensions"]["queues"].get("messageEncoding", "base64") == "base64"
    queue = open_storage_queue(account, None)
    queue.put(BATCH, 0)
    reader = QueueClient.from_connection_string(account, QUEUE)  # decodes nothing
    for message in reader.receive_messages():
        assert json.loads(base64.b64decode(message.content, validate=True))["block"] == BATCH.block


def test_an_invalid_connection_string_is_not_repeated_in_the_error() -> None:
    with pytest.raises(SettingsError) as caught:
        open_storage_queue("AccountKey=c2VjcmV0", None)
    assert "c2VjcmV0" not in str(caught.value)


def test_an_unreachable_queue_is_unavailable_within_ten_seconds() -> None:
    (port,) = free_ports(1, "127.0.0.1")
    text = (
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=c2VjcmV0;"
        f"QueueEndpoint=http://127.0.0.1:{port}/devstoreaccount1"
    )
    queue = open_storage_queue(text, None)
    start = time.monotonic()
    with pytest.raises(StorageUnavailableError):
        queue.put(BATCH, 0)
    assert time.monotonic() - start < 10  # the tick continues with the next rollout


def test_a_batch_reaches_the_poison_queue_before_its_lease_expires() -> None:
    """Check that its devices fail in time; a new lease would repeat the failures without end."""
    queues = json.loads(HOST_FILE.read_text())["extensions"]["queues"]
    pauses = [queues[name] for name in ("visibilityTimeout", "maxPollingInterval")]
    seconds = sum(int(pause.removeprefix("00:00:")) for pause in pauses)
    assert queues["maxDequeueCount"] == MAX_DEQUEUE_COUNT
    assert MAX_DEQUEUE_COUNT * seconds <= starts.LEASE_DURATION.total_seconds() * 2 / 3
