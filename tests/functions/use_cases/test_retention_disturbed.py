"""Test removals that storage, another app, an export, a webhook or a short setting disturbs."""

import logging
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from functions.dispatch_queue.port import Delivery
from functions.errors import StorageUnavailableError
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.model.webhook import Webhook, WebhookFormat
from functions.use_cases import read, retention
from functions.use_cases.create import create
from functions.use_cases.deliver import deliver
from tests.functions.fragile import before
from tests.functions.triggers.client import Client
from tests.functions.use_cases.receivers import WorldWithReceivers
from tests.functions.use_cases.world import World, devices

OTHER = Firmware(version="3.0.0", package_uri="https://packages.example/fw-3.bin")


class Failing:
    """Wrap the stores so that each call from the number `first` on, from 1, is unavailable."""

    def __init__(self, stores: Any, first: int, numbers: Any = None) -> None:
        self._stores, self._first, self._numbers = stores, first, numbers or count(1)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._stores, name)
        if not callable(value):
            return Failing(value, self._first, self._numbers)

        def call(*arguments: Any, **more: Any) -> Any:
            if next(self._numbers) >= self._first:
                raise StorageUnavailableError("The storage responds with 503.")
            return value(*arguments, **more)

        return call


def keep(world: World, **length: float) -> World:
    world.services = replace(world.services, retention=timedelta(**length))
    return world


def run(world: World, **more: Any) -> str:
    rollout_id = create(world.services, world.request(**more), None).rollout.id
    world.until_over(rollout_id)
    return rollout_id


def remove_all(world: World) -> None:
    for ended in retention.list_work(world.services).expired:
        snapshot = world.stores.rollouts.get(ended.id)
        list(world.stores.retention.remove(ended, snapshot))


@pytest.mark.parametrize("first", range(1, 14))
def test_storage_that_dies_in_a_removal_loses_nothing_of_an_open_rollout(
    first: int, caplog: pytest.LogCaptureFixture
) -> None:
    world = keep(World(devices(2)), days=1)
    ended = run(world)
    world.pass_time(days=2)
    newer = create(world.services, world.request(firmware=OTHER), None).rollout.id
    work = retention.list_work(world.services)
    world.pass_time(seconds=10)
    caplog.set_level(logging.ERROR)
    dying = replace(world.services, stores=Failing(world.stores, first))
    retention.remove_expired(dying, work)
    is_removed = world.stores.rollouts.get(ended) is None
    assert is_removed or "removing ended rollouts failed" in caplog.text
    assert len(world.updates(newer)) == 2
    assert world.until_over(newer).status is RolloutStatus.COMPLETED
    world.ticks(3)
    assert world.stores.rollouts.get(ended) is None
    assert world.stores.targets.get_block_numbers(ended) == {}
    history = read.list_device_history(world.stores.targets, "d-000", 10, None, world.now).items
    assert [item.rollout.id for item in history] == [newer]


def test_a_retention_shorter_than_an_open_rollout_lasts_removes_nothing_of_it() -> None:
    world = keep(World(devices(20, stage=600)), seconds=1)
    slow = create(world.services, world.request(strategy=Strategy(max_in_flight=1)), None)
    world.ticks(30)
    assert not world.rollout(slow.rollout.id).is_over
    assert len(world.updates(slow.rollout.id)) == 20
    history = read.list_device_history(world.stores.targets, "d-000", 10, None, world.now).items
    assert [item.rollout.id for item in history] == [slow.rollout.id]


def test_a_device_keeps_the_history_of_its_open_rollout_when_an_older_one_is_removed() -> None:
    world = keep(World(devices(3)), days=1)
    older = run(world)
    world.pass_time(days=2)
    slow = Strategy(max_in_flight=1)
    open_one = create(world.services, world.request(firmware=OTHER, strategy=slow), None)
    world.ticks(2)
    assert world.stores.rollouts.get(older) is None
    assert not world.rollout(open_one.rollout.id).is_over
    for name in world.hub.devices:
        found = read.list_device_history(world.stores.targets, name, 10, None, world.now).items
        assert [item.rollout.id for item in found] == [open_one.rollout.id]
    assert world.until_over(open_one.rollout.id).status is RolloutStatus.COMPLETED


def test_a_rollout_that_changed_before_its_removal_stays(caplog: pytest.LogCaptureFixture) -> None:
    world = keep(World(devices(2)), days=1)
    rollout_id = run(world)
    world.pass_time(days=2)
    work = retention.list_work(world.services)
    store = world.stores.rollouts

    def change() -> None:
        stored = store.get(rollout_id)
        assert stored is not None
        store.save(stored, replace(stored.rollout, revision=stored.rollout.revision + 1))

    caplog.set_level(logging.INFO, "functions")
    with before(world.stores.retention, "remove", change):
        retention.remove_expired(world.services, work)
    assert "changed before its removal; it stays" in caplog.text
    assert len(world.updates(rollout_id)) == 2
    world.ticks(3)
    assert store.get(rollout_id) is None


@pytest.mark.parametrize(
    "name", ["get", "get_blocks", "list_events", "get_revision", "list_events_from"]
)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_export_during_a_removal_is_whole_or_not_found(
    name: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = keep(World(devices(130), still=True), days=1)
    client, rollout_id = Client(world, monkeypatch), run(world)
    world.pass_time(days=2)
    path = f"/rollouts/{rollout_id}/export"
    whole = client.get(path)
    assert whole.text.count('"kind":"device"') == 130
    with before(world.stores.rollouts, name, lambda: remove_all(world), number):
        response = client.get(path)
    assert response.status == 404 or response.text == whole.text
    if world.stores.rollouts.get(rollout_id) is None:
        assert response.status == 404


def with_receiver_that_is_down() -> tuple[WorldWithReceivers, str]:
    world = WorldWithReceivers(devices(2))
    keep(world, days=1)
    world.receivers.respond = lambda _: None
    world.stores.webhooks.save(
        Webhook(
            name="ops",
            url="https://hooks.example/",
            format=WebhookFormat.CLOUD_EVENTS,
            actions=(),
            secret=b"s" * 32,
            private_key=b"k" * 32,
            created_at=world.now,
            changed_at=world.now,
        ),
        None,
    )
    world.services.feed.learn(world.stores.webhooks.read_controls().webhooks)
    rollout_id = run(world)
    world.deliver()
    assert world.deliveries.waiting
    return world, rollout_id


def test_events_of_a_removed_rollout_are_not_delivered_and_hold_up_no_others() -> None:
    world, removed = with_receiver_that_is_down()
    world.pass_time(days=2)
    world.ticks(3)
    assert world.stores.rollouts.get(removed) is None
    world.receivers.respond = lambda _: 200
    later = run(world, firmware=OTHER)
    world.pass_with_deliveries(hours=1, step_seconds=60)
    delivered = world.receivers.ids()
    assert delivered
    assert all(item.startswith(later) for item in delivered)
    assert not world.deliveries.waiting


def test_a_rollout_that_is_removed_during_its_delivery_ends_the_delivery() -> None:
    world, rollout_id = with_receiver_that_is_down()
    world.pass_time(days=2)
    world.receivers.respond = lambda _: 200
    with before(world.stores.rollouts, "list_events_from", lambda: remove_all(world)):
        deliver(world.services, Delivery(rollout_id, "ops"))
    world.pass_time(minutes=1)
    world.deliver()
    assert not world.deliveries.waiting
    assert world.stores.rollouts.get(rollout_id) is None
