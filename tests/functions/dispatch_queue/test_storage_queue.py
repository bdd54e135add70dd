"""The queue on a real Azurite, read as the Functions host reads it."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.queue import QueueClient, TextBase64DecodePolicy

from functions.dispatch_queue import messages
from functions.dispatch_queue.port import Batch
from functions.dispatch_queue.storage_queue import QUEUE, open_storage_queue
from functions.errors import SettingsError, StorageUnavailableError
from functions.rollouts.rollout import starts
from simulator import azurite
from simulator.azurite import AzuriteOptions
from simulator.hub.loopback import free_address
from tests.ports import free_ports

HOST_FILE = Path(__file__).parents[3] / "host.json"
BATCH = Batch("98233500000000-0123456789ab", 3, 7, 0b1011)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    location: Path = tmp_path_factory.mktemp("azurite")
    address = free_address()
    blob, queue, table = free_ports(3, address)
    options = AzuriteOptions(
        location=location, address=address, blob_port=blob, queue_port=queue, table_port=table
    )
    with azurite.running(options) as connection_string:
        yield connection_string


def test_a_batch_makes_its_queue_and_is_taken_as_the_host_takes_it(account: str) -> None:
    open_storage_queue(account, None).put(BATCH, 0)
    reader = QueueClient.from_connection_string(
        account, QUEUE, message_decode_policy=TextBase64DecodePolicy()
    )
    (message,) = list(reader.receive_messages())
    assert messages.from_bytes(message.content.encode()) == BATCH
    reader.delete_message(message)


def test_a_batch_for_later_is_not_there_yet(account: str) -> None:
    open_storage_queue(account, None).put(BATCH, 5)
    reader = QueueClient.from_connection_string(account, QUEUE)
    assert list(reader.receive_messages()) == []
    assert reader.get_queue_properties().approximate_message_count == 1


def test_a_batch_that_is_late_already_is_there_at_once(account: str) -> None:
    reader = QueueClient.from_connection_string(account, QUEUE)
    open_storage_queue(account, None).put(BATCH, 0)
    reader.clear_messages()
    open_storage_queue(account, None).put(BATCH, -0.5)
    open_storage_queue(account, None).put(BATCH, 0.9)
    assert len(list(reader.receive_messages())) == 2


def test_a_delayed_batch_comes_when_its_time_has_come(account: str) -> None:
    queue = open_storage_queue(account, None)
    reader = QueueClient.from_connection_string(account, QUEUE)
    queue.put(BATCH, 0)
    reader.clear_messages()
    begun = time.monotonic()
    queue.put(BATCH, 1)
    while not list(reader.receive_messages()):
        assert time.monotonic() < begun + 10
        time.sleep(0.05)
    assert time.monotonic() - begun > 0.5


def test_a_queue_deleted_meanwhile_is_made_again(account: str) -> None:
    queue = open_storage_queue(account, None)
    queue.put(BATCH, 0)
    reader = QueueClient.from_connection_string(account, QUEUE)
    reader.delete_queue()
    queue.put(BATCH, 0)
    assert len(list(reader.receive_messages())) == 1


def test_a_message_is_base64_of_json_as_the_host_expects_it(account: str) -> None:
    host = json.loads(HOST_FILE.read_text())
    assert host["extensions"]["queues"].get("messageEncoding", "base64") == "base64"
    queue = open_storage_queue(account, None)
    queue.put(BATCH, 0)
    reader = QueueClient.from_connection_string(account, QUEUE)  # decodes nothing
    for message in reader.receive_messages():
        assert json.loads(base64.b64decode(message.content, validate=True))["block"] == BATCH.block


def test_what_is_no_connection_string_is_a_setting_and_shows_no_secret() -> None:
    with pytest.raises(SettingsError) as caught:
        open_storage_queue("AccountKey=c2VjcmV0", None)
    assert "c2VjcmV0" not in str(caught.value)


def test_a_queue_that_does_not_answer_is_unavailable() -> None:
    (port,) = free_ports(1, "127.0.0.1")
    text = (
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=c2VjcmV0;"
        f"QueueEndpoint=http://127.0.0.1:{port}/devstoreaccount1"
    )
    queue = open_storage_queue(text, None)
    begun = time.monotonic()
    with pytest.raises(StorageUnavailableError):
        queue.put(BATCH, 0)
    assert time.monotonic() - begun < 10  # a tick goes on to the next rollout


def test_a_batch_is_given_up_before_its_devices_are_handed_out_again() -> None:
    """Otherwise nobody would fail, and the devices would go round for ever."""
    queues = json.loads(HOST_FILE.read_text())["extensions"]["queues"]
    pauses = [queues[name] for name in ("visibilityTimeout", "maxPollingInterval")]
    seconds = sum(int(pause.removeprefix("00:00:")) for pause in pauses)
    assert queues["maxDequeueCount"] * seconds <= starts.LEASE.total_seconds() * 2 / 3
