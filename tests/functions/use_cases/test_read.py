"""Test reads of rollouts, device updates and device histories, with their explanations."""

from collections.abc import Callable
from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest

from functions.errors import UnknownError
from functions.rollout_store.ports.records import CursorError
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import (
    Offline,
    OfflinePolicy,
    Strategy,
    WavePlan,
    Window,
    percent,
)
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands, read
from functions.use_cases.create import create
from functions.use_cases.read import WantedUpdates
from functions.use_cases.read_failures import read_failures
from simulator.simulated_fleet.shares import Fault
from tests.functions.use_cases.world import NOON, World, device, devices

ADA = Caller("ada", "lunch")
LATER = NOON + timedelta(days=1)


def explain(world: World, rollout_id: str, device_id: str) -> str:
    return read.explain_device_update(
        world.stores.rollouts, rollout_id, device_id, world.now
    ).explanation


def explain_queued(world: World, rollout_id: str, wave: int = 0) -> str:
    """Return the explanation of a queued device of this wave."""
    found = (
        item.device_id
        for item in world.updates(rollout_id)
        if item.wave == wave and item.state is DeviceState.QUEUED
    )
    return explain(world, rollout_id, next(found))


# -- explanations


def test_a_waiting_wave_tells_how_far_the_wave_before_is() -> None:
    world = World(devices(40))
    rollout_id = world.create(Strategy(waves=(WavePlan(size=20, name="canary"),))).rollout.id
    canaries = [item.device_id for item in world.updates(rollout_id) if item.wave == 0]
    for name in canaries[12:]:
        world.hub.devices[name].stage_seconds = (500, 500, 500, 500)
    world.ticks(10)
    assert explain_queued(world, rollout_id, 1) == (
        "Waiting: wave rest opens when enough of wave canary completed: 18 of 20, now 12."
    )


def test_a_device_of_an_open_wave_waits_for_its_start() -> None:
    world = World(devices(40))
    rollout_id = world.create().rollout.id
    assert "devices start in order" in explain_queued(world, rollout_id)


def test_a_device_beyond_the_limit_tells_how_many_are_under_way() -> None:
    world = World(devices(40))
    rollout_id = world.create(Strategy(max_in_flight=6)).rollout.id
    world.ticks(1)
    assert "6 devices of at most 6 in flight at once" in explain_queued(world, rollout_id)


def test_a_device_outside_the_window_tells_when_it_opens() -> None:
    world = World(devices(40))
    window = Window(start=time(1), end=time(3), timezone="Europe/Berlin")
    rollout_id = world.create(Strategy(window=window)).rollout.id
    assert "which opens at 2026-11-24T00:00:00Z" in explain_queued(world, rollout_id)


def test_a_device_of_a_paused_rollout_tells_who_paused_it_and_why() -> None:
    world = World(devices(40))
    rollout_id = world.create().rollout.id
    commands.run_command(world.services, rollout_id, operator_commands.pause, ADA)
    assert "the rollout is paused. Paused by ada: lunch" in explain_queued(world, rollout_id)


def test_a_device_behind_a_breach_tells_the_gate_s_reason() -> None:
    world = World([device(f"d-{n:03}", fault=Fault.FAILING) for n in range(30)])
    rollout_id = world.create(Strategy(waves=(WavePlan(size=4, name="canary"),))).rollout.id
    world.ticks(10)
    assert "Wave canary: 4 of its first 4 devices failed (100%)" in explain_queued(
        world, rollout_id, 1
    )


def test_an_offline_device_tells_since_when_and_until_when() -> None:
    world = World([device("a", online=False)])
    strategy = Strategy(offline=Offline(deadline=timedelta(hours=2)))
    rollout_id = world.create(strategy).rollout.id
    assert explain(world, rollout_id, "a") == (
        "Offline since 2026-11-23T12:00:00Z. It starts once it is connected,"
        " until 2026-11-23T14:00:00Z."
    )


def test_a_device_before_its_next_attempt_explains_the_last_one_and_its_wait() -> None:
    world = World([device("a", hangs=True)])
    rollout_id = world.create(Strategy(timeout=timedelta(seconds=60))).rollout.id
    world.ticks(7)
    commands.run_command(world.services, rollout_id, operator_commands.pause, ADA)
    explanation = explain(world, rollout_id, "a")
    assert (
        "not finished when its timeout of 1 min expired. Attempt 2 of 3 follows in" in explanation
    )
    assert "Waiting: the rollout is paused." in explanation


@pytest.mark.parametrize(
    ("fault", "strategy", "words"),
    [
        (Fault.NONE, Strategy(), "The device reported completed."),
        (Fault.FAILING, Strategy(), "simulated failure at applying"),
        (Fault.REVERTING, Strategy(soak=timedelta(minutes=5)), "went back to its old firmware"),
        (Fault.NONE, Strategy(soak=timedelta(minutes=5)), "healthy through its soak"),
    ],
)
def test_a_device_that_has_ended_tells_how(fault: Fault, strategy: Strategy, words: str) -> None:
    world = World([device("a", fault=fault)])
    rollout_id = world.create(strategy).rollout.id
    world.until_over(rollout_id)
    assert words in explain(world, rollout_id, "a")


def test_a_skipped_and_a_cancelled_device_tell_why() -> None:
    world = World(devices(20))
    skip = Offline(policy=OfflinePolicy.SKIP)
    rollout_id = world.create(Strategy(offline=skip, max_in_flight=1)).rollout.id
    _, second, *_, last = [item.device_id for item in world.updates(rollout_id)]
    world.hub.disconnect(second)
    while not world.rollout(rollout_id).counts.skipped:
        world.ticks(1)
    commands.cancel(world.services, rollout_id, ADA)
    assert "Skipped: the device was offline" in explain(world, rollout_id, second)
    cancelled = "The rollout was cancelled before the device started."
    assert explain(world, rollout_id, last) == cancelled


# -- lists


def pages(read_page: Callable[[str | None], Any]) -> list[Any]:
    found, cursor = [], None
    while True:
        page = read_page(cursor)
        found += page.items
        cursor = page.cursor
        if cursor is None:
            return found


def test_device_updates_are_paged_in_the_order_of_the_start() -> None:
    world = World(devices(230))
    rollout_id = world.create(Strategy(waves=(WavePlan(size=percent(10)),))).rollout.id
    found = pages(
        lambda at: read.list_device_updates(
            world.stores.rollouts, rollout_id, WantedUpdates(), 37, at
        )[1]
    )
    assert found == world.updates(rollout_id)
    world.ticks(1)
    state = DeviceState.QUEUED
    queued = pages(
        lambda at: read.list_device_updates(
            world.stores.rollouts, rollout_id, WantedUpdates(state=state), 37, at
        )[1]
    )
    assert len(queued) == 230 - 23


def test_rollouts_are_listed_newest_first_and_by_status() -> None:
    world = World(devices(4))
    ids = []
    for name in world.hub.devices:
        ids.append(create(world.services, world.request(name), None).rollout.id)
        world.until_over(ids[-1])
    late = replace(world.request("d-000"), start_at=world.now + timedelta(hours=1))
    ids.append(create(world.services, late, None).rollout.id)
    found = pages(lambda at: read.list_rollouts(world.stores.rollouts, None, 2, at))
    assert [item.id for item in found] == ids[::-1]
    status = RolloutStatus.COMPLETED
    done = pages(lambda at: read.list_rollouts(world.stores.rollouts, status, 3, at))
    assert [item.id for item in done] == ids[-2::-1]


def test_a_device_s_history_has_its_rollouts_newest_first_each_explained() -> None:
    world = World(devices(2))
    first = world.create().rollout.id
    world.until_over(first)
    second = create(world.services, replace(world.request("d-000"), start_at=LATER), None)
    found = pages(
        lambda at: read.list_device_history(world.stores.targets, "d-000", 1, at, world.now)
    )
    assert [item.rollout.id for item in found] == [second.rollout.id, first]
    assert "The rollout starts at 2026-11-24T12:00:00Z" in found[0].explanation
    assert found[1].explanation == "The device reported completed."
    assert read.list_device_history(world.stores.targets, "ghost", 10, None, world.now).items == []


def test_a_rollout_of_few_listed_devices_names_them_and_a_larger_one_does_not() -> None:
    for number, named in ((5, True), (100, True), (101, False)):
        world = World(devices(number))
        rollout_id = world.create().rollout.id
        overview = read.get_overview(world.stores.rollouts, rollout_id)
        assert overview.rollout == world.rollout(rollout_id)
        assert (overview.device_ids is not None) is named
        assert sorted(overview.device_ids or world.hub.devices) == sorted(world.hub.devices)


def test_an_unknown_id_is_an_unknown_error_and_a_foreign_cursor_a_cursor_error() -> None:
    world = World(devices(3))
    rollout_id = world.create().rollout.id
    for unknown in (
        lambda: read.get_overview(world.stores.rollouts, "nowhere"),
        lambda: read.explain_device_update(world.stores.rollouts, rollout_id, "ghost", world.now),
        lambda: read.list_events(world.stores.rollouts, "nowhere", 10, None),
    ):
        with pytest.raises(UnknownError):
            unknown()
    with pytest.raises(CursorError):
        read.list_device_updates(world.stores.rollouts, rollout_id, WantedUpdates(), 10, "made up")


def test_a_missing_example_of_a_failure_is_read_and_its_count_is_the_records() -> None:
    world = World(devices(3, fault=Fault.FAILING))
    rollout = world.until_over(world.create().rollout.id)
    (failed,) = rollout.failures or ()
    newer = replace(failed, count=failed.count + 4, example=None)  # than the devices that are read
    found = read_failures(world.services, replace(rollout, failures=(newer,)))
    assert found == [replace(newer, example=failed.example)]
