"""Messages that cannot be processed: devices fail with a reason, or the drop is logged."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import (
    BinaryBase64DecodePolicy,
    QueueClient,
    TextBase64EncodePolicy,
)

from functions.dispatch_queue import messages
from functions.dispatch_queue.port import Batch
from functions.dispatch_queue.storage_queue import POISON_QUEUE, QUEUE
from functions.rollouts.model.device_set import DeviceSet
from simulator.cloud.local_cloud import LocalCloud, run_cloud
from tests.end_to_end.checks import check_counters, list_updates
from tests.end_to_end.client import Api
from tests.end_to_end.conftest import make_options
from tests.end_to_end.hub_side import count_starts, methods
from tests.end_to_end.processes import start_again
from tests.end_to_end.simulated_fleet import connected_fleet
from tests.waiting import eventually

# Without the pause of host.json between two attempts: here no hub needs time to recover.
AT_ONCE = ("AzureFunctionsJobHost__extensions__queues__visibilityTimeout", "00:00:00")
# The Functions host's own switch for one function.
NO_DISPATCH = "AzureWebJobs.dispatch_batch.Disabled"
DEVICES = 12
# All tests update the same devices to the same version.
AGAIN = {"whenAlreadyRunning": "reinstall"}
# A block has up to 100 devices; this rollout has 12.
FIRST = DeviceSet.of([0])
NO_SUCH_INDEX = DeviceSet.of([90])


@pytest.fixture(scope="module")
def own_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """Run a cloud that retries a message at once."""
    options = replace(make_options(tmp_path_factory.mktemp("poison")), throttle_scale=10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(*AT_ONCE)
        with run_cloud(options) as running:
            yield running


@contextmanager
def open_queue(running: LocalCloud, name: str, *, encoded: bool = True) -> Iterator[QueueClient]:
    """Open a queue, and create it if missing; `encoded` as the host expects its messages."""
    with QueueClient.from_connection_string(
        running.options.azurite.connection_string,
        name,
        message_encode_policy=TextBase64EncodePolicy() if encoded else None,
        message_decode_policy=BinaryBase64DecodePolicy(),
    ) as client:
        with suppress(ResourceExistsError):
            client.create_queue()
        yield client


def read_log(running: LocalCloud) -> str:
    return running.options.logs.joinpath("host.log").read_text()


def create_undispatched(running: LocalCloud, ids: list[str]) -> tuple[Any, Batch]:
    """Create a rollout and take its batch off the queue before it is dispatched; return both."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(NO_DISPATCH, "true")
        start_again(running.host)
        created = Api(running.options).create(*ids, **AGAIN)
        with open_queue(running, QUEUE) as queue:
            message = eventually(queue.receive_message)
            assert message is not None
            queue.delete_message(message)
            assert queue.get_queue_properties().approximate_message_count == 0
    start_again(running.host)
    return created, messages.from_bytes(message.content)


def send_batches(running: LocalCloud, *batches: Batch, queue: str = QUEUE) -> list[str]:
    """Send batches; return the ids of their messages."""
    with open_queue(running, queue) as client:
        return [client.send_message(messages.to_text(batch)).id for batch in batches]


def test_a_message_that_is_not_a_batch_is_deleted_and_logged_after_five_attempts(
    own_cloud: LocalCloud,
) -> None:
    texts = ["no batch", "{}", '{"rolloutId":"x","handOut":-1,"block":0,"members":"1"}', "[" * 9999]
    with open_queue(own_cloud, QUEUE) as queue:
        sent = {queue.send_message(text).id for text in texts}
    moved = re.compile(rf"Message (\S+) of queue {QUEUE} \(taken 5 times\) moves to {POISON_QUEUE}")
    dropped = "of the poison queue is not a batch; it is deleted"
    eventually(lambda: read_log(own_cloud).count(dropped) == len(texts))
    assert set(moved.findall(read_log(own_cloud))) == sent
    for name in (QUEUE, POISON_QUEUE):
        with open_queue(own_cloud, name) as queue:
            eventually(lambda: queue.get_queue_properties().approximate_message_count == 0)
    # The queue continues: a message that is not encoded is taken once and logged.
    with open_queue(own_cloud, QUEUE, encoded=False) as queue:
        odd = queue.send_message("*** not base64 ***").id
    eventually(lambda: f"Message {odd} of queue {QUEUE}" in read_log(own_cloud))


def test_a_batch_of_an_unknown_rollout_or_block_is_logged_and_starts_nothing(
    own_cloud: LocalCloud,
) -> None:
    api = Api(own_cloud.options)
    with connected_fleet(own_cloud.options, DEVICES, "--stage-seconds", "0") as ids:
        created = api.create(*ids, **AGAIN)
        assert api.wait_for_end(created)["counts"]["completed"] == DEVICES
        before = methods(own_cloud.options)
        unknown = "98204585790876-33f54ea28ab6"
        send_batches(own_cloud, Batch(unknown, 901, 0, FIRST), Batch(created["id"], 902, 77, FIRST))
        for rollout_id, number in ((unknown, 901), (created["id"], 902)):
            line = f"rollout {rollout_id}: batch {number} has no lease any more"
            eventually(lambda: line in read_log(own_cloud))  # noqa: B023
        lost = [Batch(unknown, 903, 0, FIRST), Batch(created["id"], 904, 77, FIRST)]
        send_batches(own_cloud, *lost, queue=POISON_QUEUE)
        eventually(lambda: read_log(own_cloud).count("is dropped: it has no lease") == 2)
        assert methods(own_cloud.options) == before
        assert check_counters(api, created["id"])["completed"] == DEVICES


def test_the_devices_of_a_batch_that_always_fails_are_failed_and_can_be_retried(
    own_cloud: LocalCloud,
) -> None:
    api = Api(own_cloud.options)
    with connected_fleet(own_cloud.options, DEVICES, "--stage-seconds", "0") as ids:
        before = methods(own_cloud.options)
        created, batch = create_undispatched(own_cloud, ids)
        path = f"/rollouts/{created['id']}"
        (message,) = send_batches(own_cloud, replace(batch, devices=batch.devices | NO_SUCH_INDEX))
        eventually(lambda: api.get(path)["counts"]["failed"] == DEVICES)
        assert f"Message {message} of queue {QUEUE} (taken 5 times)" in read_log(own_cloud)
        assert methods(own_cloud.options) == before
        for update in list_updates(api, created["id"]):
            assert update["error"]["code"] == "unreachable"
            assert "could not be sent in 5 attempts" in update["error"]["message"]
        failed = api.get(path)
        assert (failed["status"], failed["statusReason"]["code"]) == ("failed", "successShare")
        assert api.post(f"{path}/retry", {"by": "ada"})["status"] == "running"
        assert api.wait_for_end(created)["status"] == "completed"
        assert {item["attempt"] for item in list_updates(api, created["id"])} == {2}
        assert check_counters(api, created["id"])["completed"] == DEVICES


def test_a_batch_that_is_delivered_four_times_starts_each_update_once(
    own_cloud: LocalCloud,
) -> None:
    api = Api(own_cloud.options)
    with connected_fleet(own_cloud.options, DEVICES, "--stage-seconds", "0.2") as ids:
        before = methods(own_cloud.options)
        created, batch = create_undispatched(own_cloud, ids)
        send_batches(own_cloud, *[batch] * 4)
        assert api.wait_for_end(created)["counts"]["completed"] == DEVICES
        assert count_starts(api.options, created["id"]) == Counter({(name, 1): 1 for name in ids})
        assert methods(own_cloud.options) - before == DEVICES
