"""Test hosts of two releases at work on one storage account, whose rows differ in their format."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import Any, cast

import azure.functions as func
import pytest
from azure.data.tables import TableClient

from functions import version, wiring
from functions.dispatch_queue import messages
from functions.dispatch_queue.port import Batch, Delivery
from functions.dispatch_queue.storage_queue import DELIVERY_QUEUE, POISON_QUEUE, QUEUE
from functions.errors import NewerSchemaError
from functions.rollout_store.table_storage import keys
from functions.rollout_store.table_storage.stores import open_table_stores
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Strategy
from functions.triggers import background
from functions.use_cases.commit_queue import CommitQueue
from functions.use_cases.latest_snapshots import LatestSnapshots
from functions.use_cases.services import Services
from tests.functions.triggers.client import Client
from tests.functions.triggers.routing import CONTEXT, queue_functions
from tests.functions.use_cases.world import World, devices

DEVICES = 30
NEWER = version.SCHEMA_VERSION + 1


@dataclass
class Queues:
    """The queues of the account. Messages that were put back are in `put_back`."""

    waiting: list[tuple[str, bytes]] = field(default_factory=list)  # queue and body
    put_back: int = 0

    def put(self, batch: Batch, delay_seconds: float, /) -> None:  # noqa: ARG002 - the port's
        self.waiting.append((QUEUE, messages.to_text(batch).encode()))

    def ping(self) -> None:
        """Respond."""

    def take_back(self, name: str, body: bytes, delay_seconds: float) -> None:
        assert delay_seconds > 0
        self.put_back += 1
        self.waiting.append((name, body))


TRIGGERS = {
    QUEUE: "dispatch_batch",
    DELIVERY_QUEUE: "deliver_events",
    POISON_QUEUE: "give_up_batch",
}


def tick() -> None:
    timer = cast("Any", background.advance_rollouts)
    function = timer.build().get_user_function() if hasattr(timer, "build") else timer
    function(None)


def receive(name: str, body: bytes) -> None:
    """Let the host that runs now receive a message. An error would send it to the poison queue."""
    function = queue_functions()[TRIGGERS[name]]
    asyncio.run(function(func.QueueMessage(id="m", body=body), CONTEXT))


@contextmanager
def running(schema: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(version, "SCHEMA_VERSION", schema)
        yield


@pytest.fixture
def queues() -> Queues:
    return Queues()


@pytest.fixture
def hosts(
    storage: str, queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[World, Services, Services]]:
    """Return a world whose stores are tables, and the services of two processes in it."""
    world = World(devices(DEVICES))
    stores = open_table_stores(storage, None)
    world.stores = cast("Any", stores)
    older = replace(world.services, stores=stores, queue=queues)
    newer = replace(older, commits=CommitQueue(), latest=LatestSnapshots())
    monkeypatch.setattr(wiring, "put_back", queues.take_back)
    yield world, older, newer
    client = TableClient.from_connection_string(storage, keys.TABLE)
    for row in list(client.list_entities(select=["PartitionKey", "RowKey"])):
        client.delete_entity(row)


def test_a_rollout_completes_between_two_releases_and_nothing_is_poison(
    hosts: tuple[World, Services, Services], queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, older, newer = hosts
    random, refused_ticks = Random(7), 0  # noqa: S311 - chooses a host
    world.services = older
    strategy = Strategy(max_in_flight=5, soak=timedelta(seconds=60))
    rollout_id = world.create(strategy).rollout.id

    @contextmanager
    def any_host(*, newer_one: bool) -> Iterator[None]:
        services = newer if newer_one else older
        monkeypatch.setattr(wiring, "services", lambda: services)
        with running(NEWER if newer_one else version.SCHEMA_VERSION):
            yield

    for number in range(200):
        is_newer = number > 0 and random.random() < 0.5
        with any_host(newer_one=is_newer):
            try:
                tick()
            except NewerSchemaError:
                assert not is_newer
                refused_ticks += 1
        taken, queues.waiting = queues.waiting, []
        for name, body in taken:
            with any_host(newer_one=random.random() < 0.5):
                receive(name, body)
        world.pass_time(seconds=10)
        with running(NEWER):
            if world.rollout(rollout_id).is_over:
                break
    with running(NEWER):
        assert world.rollout(rollout_id).status is RolloutStatus.COMPLETED
        assert {update.attempt for update in world.updates(rollout_id)} == {1}
    assert refused_ticks > 0
    assert queues.put_back > 0


def test_a_message_of_a_newer_release_is_put_back_unread(
    hosts: tuple[World, Services, Services], queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "services", lambda: hosts[1])
    with running(NEWER):
        batch = messages.to_text(Batch("98233500000000-0123456789ab", 1, 0, DeviceSet.of([0])))
        delivery = messages.delivery_to_text(Delivery("98233500000000-0123456789ab", "ops"))
    unknown = json.dumps({"schema": NEWER, "kind": "a form that this release does not know"})
    sent = [
        (name, text.encode())
        for name, texts in (
            (QUEUE, [batch, unknown]),
            (POISON_QUEUE, [batch, unknown]),
            (DELIVERY_QUEUE, [delivery, unknown]),
        )
        for text in texts
    ]
    for name, body in sent:
        receive(name, body)
    assert queues.waiting == sent


def test_a_batch_given_up_of_a_rollout_that_a_newer_release_stored_fails_no_device(
    hosts: tuple[World, Services, Services], queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, older, newer = hosts
    monkeypatch.setattr(wiring, "services", lambda: older)
    world.services = newer
    with running(NEWER):
        rollout_id = world.create().rollout.id
        tick()
    ((_, body),) = queues.waiting
    older_body = json.dumps({**json.loads(body), "schema": version.SCHEMA_VERSION}).encode()
    receive(POISON_QUEUE, older_body)
    assert queues.waiting[1:] == [(POISON_QUEUE, older_body)]
    with running(NEWER):
        assert world.rollout(rollout_id).counts.failed == 0


def test_http_says_that_a_newer_release_stored_a_rollout(
    hosts: tuple[World, Services, Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, older, newer = hosts
    world.services = newer
    with running(NEWER):
        rollout_id = world.create().rollout.id
    world.services = older
    client = Client(world, monkeypatch)
    for response in (
        client.get(f"/rollouts/{rollout_id}"),
        client.get(f"/rollouts/{rollout_id}/devices"),
        client.get(f"/rollouts/{rollout_id}/export"),
        client.get("/rollouts"),
        client.post(f"/rollouts/{rollout_id}/pause"),
    ):
        assert response.status == 503
        assert int(response.headers["Retry-After"]) > 0
        assert "newer release" in response.body["detail"]
        assert version.APP_VERSION in response.body["detail"]
    with running(NEWER):
        assert world.rollout(rollout_id).status is RolloutStatus.RUNNING
