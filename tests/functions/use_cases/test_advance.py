"""Test how one tick goes on with several rollouts."""

from datetime import timedelta
from typing import Any

import pytest

from functions.errors import (
    DailyQuotaError,
    HubUnavailableError,
    LostRaceError,
    NewerSchemaError,
    StorageUnavailableError,
)
from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.quotas import Budget
from functions.use_cases.advance import advance
from functions.use_cases.create import create
from tests.functions.use_cases.world import World, devices


def create_two(world: World) -> tuple[str, str]:
    names = tuple(world.hub.devices)
    half = len(names) // 2
    first, second = (
        create(world.services, world.request(*ids), None).rollout.id
        for ids in (names[:half], names[half:])
    )
    return first, second


def stored_budget(world: World) -> Budget:
    stored = world.stores.webhooks.read_controls().budget
    assert stored is not None
    return stored.record


def delays(world: World) -> list[float]:
    """Take all batches out of the queue. Return the seconds from now until each is visible."""
    found = []
    while (taken := world.queue.due(world.now + timedelta(days=1))) is not None:
        found.append((taken[0] - world.now).total_seconds())
    return found


def test_batches_are_spread_over_the_time_until_the_next_tick() -> None:
    world = World(devices(600), still=True)
    world.create()
    advance(world.services)
    found = delays(world)
    assert len(found) > 2
    assert found == pytest.approx([number * 10 / len(found) for number in range(len(found))])
    world.pass_time(seconds=62)  # the leases have expired
    advance(world.services)
    delays(world)
    world.pass_time(seconds=62)
    advance(world.services)
    assert max(delays(world)) < 10


@pytest.mark.parametrize(
    "errors",
    [
        [HubUnavailableError("503")],
        # The storage fails, too, while the failed read is recorded.
        [HubUnavailableError("503"), StorageUnavailableError("503")],
        [DailyQuotaError("403")],
        [NewerSchemaError("The row has format 99.")],
        [LostRaceError("always")],
        [ZeroDivisionError("a defect")],
    ],
)
def test_an_error_in_one_rollout_does_not_stop_the_others(errors: list[Exception]) -> None:
    left = list(errors)
    world = World(devices(60), still=True)
    first, second = create_two(world)
    store: Any = world.stores.rollouts
    get = store.get

    def fail(rollout_id: str) -> Any:
        if rollout_id == first and left:
            raise left.pop(0)
        return get(rollout_id)

    store.get = fail
    batches = world.advance()
    assert {batch.rollout_id for batch in batches} == {second}
    store.get = get
    world.pass_time(seconds=10)
    assert {batch.rollout_id for batch in world.advance()} == {first}


def test_a_failed_read_slows_the_next_ticks_down_and_the_used_up_day_does_not() -> None:
    factors = []
    for error in (None, DailyQuotaError("403"), HubUnavailableError("503")):
        world = World(devices(60), still=True)
        world.create()
        world.tick()
        hub: Any = world.hub

        def fail(*_: Any, error: Exception | None = error) -> Any:
            if error is not None:
                raise error
            return {}

        hub.query_twins = hub.query_connections = hub.read_twins = fail
        world.tick()
        factors.append(stored_budget(world).factor)
    assert factors[0] == factors[1] > factors[2]


def store_load(world: World, rollout_id: str, load: HubLoad) -> None:
    """Store a load as the batches and the request of the rollout leave it."""
    snapshot = world.stores.rollouts.get(rollout_id)
    assert snapshot is not None
    world.stores.rollouts.save(snapshot, snapshot.rollout.with_hub_load(load))


def test_methods_of_several_rollouts_that_the_hub_refused_slow_the_next_ticks_down() -> None:
    world = World(devices(60), still=True)
    both = create_two(world)
    world.tick()
    factor = stored_budget(world).factor
    for rollout_id in both:
        store_load(world, rollout_id, HubLoad(methods=9, throttled=1))
    world.tick()
    assert stored_budget(world).factor < factor


def test_devices_that_a_request_has_started_are_deducted_from_those_of_the_next_tick() -> None:
    left = []
    for load in (HubLoad(), HubLoad(starts=3, queries=2)):
        world = World(devices(20), still=True)
        rollout_id = world.create().rollout.id
        world.tick()
        store_load(world, rollout_id, load)
        world.tick()
        left.append(stored_budget(world))
    assert left[0].starts - left[1].starts == pytest.approx(3)
    assert left[0].queries - left[1].queries == pytest.approx(2)


def test_a_tick_of_one_rollout_keeps_what_is_reserved_for_the_others() -> None:
    world = World(devices(60, stage=600), still=True)
    first, _ = create_two(world)
    world.ticks(3)
    reserved = stored_budget(world).reserved
    assert reserved > 0
    advance(world.services, only=first)
    assert stored_budget(world).reserved >= reserved


def test_a_tick_of_one_rollout_leaves_the_others_alone() -> None:
    world = World(devices(60), still=True)
    first, second = create_two(world)
    before = world.rollout(second)
    advance(world.services, only=first)
    assert {batch.rollout_id for batch in world.batches()} == {first}
    assert world.rollout(second) == before


def test_a_rollout_that_ended_in_a_crash_leaves_the_list_of_open_ones() -> None:
    world = World(devices(3), still=True)
    rollout_id = world.create().rollout.id
    ended = world.until_over(rollout_id)
    while ended.is_followed:
        world.pass_time(hours=1)
        world.tick()
        ended = world.rollout(rollout_id)
    store: Any = world.stores.rollouts
    save, saved = store.save, []

    def record(*arguments: Any) -> Any:
        saved.append(arguments[1])
        return save(*arguments)

    store.save = record
    advance(world.services, only=rollout_id)
    assert saved == [ended]


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (LostRaceError("always"), "WARNING"),
        (NewerSchemaError("The row has format 99."), "WARNING"),
        (ZeroDivisionError("a defect"), "ERROR"),
    ],
)
def test_what_the_next_tick_mends_is_a_warning_and_all_else_an_error(
    caplog: pytest.LogCaptureFixture, error: Exception, level: str
) -> None:
    world = World(devices(20), still=True)
    rollout_id = world.create().rollout.id
    store: Any = world.stores.rollouts

    def fail(_: str) -> Any:
        raise error

    store.get = fail
    caplog.clear()
    advance(world.services)
    named = [record for record in caplog.records if rollout_id in record.getMessage()]
    assert [record.levelname for record in named] == [level]
