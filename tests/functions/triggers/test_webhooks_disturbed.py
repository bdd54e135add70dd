"""Test webhooks whose storage, webhook or receiver changes during a request or a delivery."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from functions.dispatch_queue.port import Delivery
from functions.errors import NewerSchemaError, StorageUnavailableError
from functions.use_cases.deliver import MAX_RUN, deliver
from tests.functions.fragile import before
from tests.functions.triggers.client import Client
from tests.functions.triggers.test_webhook_routes import add_events, all_ids, create, put
from tests.functions.use_cases.receivers import Received, WorldWithReceivers
from tests.functions.use_cases.world import devices


@pytest.fixture
def world() -> WorldWithReceivers:
    return WorldWithReceivers(devices(2), still=True)


@pytest.fixture
def client(world: WorldWithReceivers, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(world, monkeypatch)


def raising(error: Exception) -> Callable[[], None]:
    def call() -> None:
        raise error

    return call


def change(world: WorldWithReceivers, **fields: Any) -> None:
    """Change the stored webhook as another request does."""
    stored = world.stores.webhooks.get("ops")
    assert stored is not None
    world.stores.webhooks.save(replace(stored.record, **fields), stored.version)


def deliver_all(world: WorldWithReceivers) -> None:
    for _ in range(20):
        world.deliver()
        world.pass_time(seconds=10)


@pytest.mark.parametrize("name", ["get", "get_position", "save_position"])
def test_a_delivery_waits_for_storage(client: Client, world: WorldWithReceivers, name: str) -> None:
    put(client)
    rollout_id = create(client)
    world.deliveries.waiting.clear()
    down = raising(StorageUnavailableError("503"))
    with before(world.stores.webhooks, name, down):
        deliver(world.services, Delivery(rollout_id, "ops"))
    assert not world.receivers.received
    (waiting,) = world.deliveries.waiting
    assert (waiting[0] - world.now).total_seconds() == 30
    deliver_all(world)
    assert world.receivers.ids() == all_ids(client, rollout_id)


def test_a_delivery_of_a_newer_release_is_left_to_it(
    client: Client, world: WorldWithReceivers
) -> None:
    put(client)
    rollout_id = create(client)
    world.deliveries.waiting.clear()
    newer = raising(NewerSchemaError("The row has format 99."))
    with before(world.stores.rollouts, "get", newer), pytest.raises(NewerSchemaError):
        deliver(world.services, Delivery(rollout_id, "ops"))
    assert not world.deliveries.waiting


def test_a_position_that_another_delivery_claims_first_is_tried_again(
    client: Client, world: WorldWithReceivers
) -> None:
    put(client)
    rollout_id = create(client)
    first = Delivery(rollout_id, "ops")
    with before(world.stores.webhooks, "save_position", lambda: deliver(world.services, first)):
        deliver(world.services, first)
    deliver_all(world)
    assert world.receivers.ids() == all_ids(client, rollout_id)


def test_a_slow_receiver_gets_its_rest_in_later_runs(
    client: Client, world: WorldWithReceivers
) -> None:
    put(client)
    rollout_id = create(client)
    add_events(world, rollout_id, 120)
    world.deliveries.waiting.clear()

    def slowly(_: Received) -> int:
        world.pass_time(seconds=1)
        return 200

    world.receivers.respond = slowly
    begun = world.now
    deliver(world.services, Delivery(rollout_id, "ops"))
    assert MAX_RUN <= world.now - begun < 2 * MAX_RUN
    assert len(world.deliveries.waiting) == 1
    deliver_all(world)
    count = world.rollout(rollout_id).audit.event_count
    assert world.receivers.ids() == [f"{rollout_id}-{number}" for number in range(count)]


def test_a_webhook_that_an_operator_changes_meanwhile_keeps_the_change(
    client: Client, world: WorldWithReceivers
) -> None:
    put(client)

    def change_and_refuse(_: Received) -> int:
        world.pass_time(seconds=1)
        world.receivers.respond = lambda _: None
        put(client, url="https://new.example/")
        return 410

    world.receivers.respond = change_and_refuse
    rollout_id = create(client)
    world.deliver()
    shown = client.get("/webhooks/ops").body
    assert "disabled" not in shown
    assert "new.example" in str(shown)
    world.receivers.respond = lambda _: 200
    deliver_all(world)
    assert world.receivers.ids("new.example") == all_ids(client, rollout_id)


def test_a_failure_is_recorded_although_another_one_is_recorded_first(
    client: Client, world: WorldWithReceivers
) -> None:
    put(client)
    create(client)
    world.receivers.respond = lambda _: 410
    with before(world.stores.webhooks, "save", lambda: change(world, failing=None)):
        world.deliver()
    assert "410" in client.get("/webhooks/ops").body["disabled"]["reason"]


def test_a_put_and_a_delete_that_lose_a_race_are_repeated(
    client: Client, world: WorldWithReceivers
) -> None:
    put(client)
    with before(world.stores.webhooks, "save", lambda: change(world, actions=("paused",))):
        assert "new.example" in str(put(client, url="https://new.example/"))
    with before(world.stores.webhooks, "delete", lambda: change(world, actions=("paused",))):
        assert client.delete("/webhooks/ops").status == 200
    assert client.get("/webhooks/ops").status == 404


def test_of_two_deletes_of_one_webhook_the_second_finds_none(
    client: Client, world: WorldWithReceivers
) -> None:
    put(client)
    with before(world.stores.webhooks, "delete", lambda: client.delete("/webhooks/ops")):
        assert client.delete("/webhooks/ops").status == 404


def test_a_put_that_always_loses_is_a_conflict_to_repeat(
    client: Client, world: WorldWithReceivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(client)
    save = world.stores.webhooks.save

    def lose(webhook: Any, _: Any) -> str:
        return save(webhook, "another version")

    monkeypatch.setattr(world.stores.webhooks, "save", lose)
    response = client.put("/webhooks/ops", {"url": "https://new.example/"})
    assert response.status in {409, 503}
    assert "10 times in a row" in response.text


def test_a_webhook_is_stored_although_the_queue_is_down(
    client: Client, world: WorldWithReceivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout_id = create(client)
    down = raising(StorageUnavailableError("503"))
    with monkeypatch.context() as patched:
        patched.setattr(world.deliveries, "put", lambda *_: down())
        put(client)
    world.pass_time(minutes=11)
    world.ticks(1)
    deliver_all(world)
    assert world.receivers.ids() == all_ids(client, rollout_id)


def test_without_webhooks_the_app_says_so(client: Client, world: WorldWithReceivers) -> None:
    world.services = replace(world.services, webhooks=None)
    response = client.put("/webhooks/ops", {"url": "https://new.example/"})
    assert (response.status, "delivers to no webhooks" in response.text) == (503, True)
    deliver(world.services, Delivery("98204585790876-33f54ea28ab6", "ops"))
    assert not world.receivers.received
