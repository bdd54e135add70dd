"""Test that the newest rollout wins, per device."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.pending_retry import RetryState
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import (
    FailureGate,
    Retry,
    RetryOn,
    Strategy,
    WavePlan,
    percent,
)
from functions.rollouts.rollout import operator_commands
from functions.use_cases import commands
from functions.use_cases.create import create
from functions.use_cases.rollback import roll_back
from simulator.simulated_fleet.shares import Fault
from tests.cases.steps import ADA
from tests.functions.use_cases.world import World, device, devices


def firmware(version: str) -> Firmware:
    return Firmware(version=version, package_uri=f"https://packages.example/{version}.bin")


def roll_out(world: World, version: str, *ids: str, **strategy: Any) -> str:
    world.pass_time(seconds=1)
    request = world.request(*ids, firmware=firmware(version), strategy=Strategy(**strategy))
    return create(world.services, request, None).rollout.id


def running(world: World) -> dict[str, object]:
    """Return the version that each device runs, whether or not it reports it."""
    now = world.now.timestamp()
    return {
        found.device_id: found.latest.version_at(now) if found.latest else None
        for found in world.hub.devices.values()
    }


def superseded(updates: Iterable[DeviceUpdate], later_id: str) -> set[str]:
    """Return the devices that are skipped for the later rollout. Check that each says so."""
    skipped = [item for item in updates if item.skip_reason is SkipReason.SUPERSEDED]
    for item in skipped:
        assert item.state is DeviceState.SKIPPED
        assert later_id in (item.explanation or "")
        assert later_id in item.history[-1].message
    return {item.device_id for item in skipped}


@pytest.mark.parametrize("tutorial_only", [False, True])
def test_queued_devices_are_skipped_for_a_later_rollout(*, tutorial_only: bool) -> None:
    world = World(devices(20, tutorial_only=tutorial_only))
    first = roll_out(world, "2.4.0", waves=(WavePlan(size=5),))
    world.tick()
    second = roll_out(world, "2.5.0")
    over = world.until_over(first)
    started = {item.device_id for item in world.updates(first) if item.dispatched_at}
    assert len(started) == 5
    assert superseded(world.updates(first), second) == world.hub.devices.keys() - started
    assert over.counts.skipped == 15
    assert world.until_over(second).counts.completed == 20
    assert set(running(world).values()) == {"2.5.0"}


@pytest.mark.parametrize("tutorial_only", [False, True])
def test_a_device_that_is_away_during_two_rollouts_gets_the_newer_one(
    *, tutorial_only: bool
) -> None:
    world = World(devices(3, online=False, tutorial_only=tutorial_only))
    first, second = roll_out(world, "2.4.0"), roll_out(world, "2.5.0")
    world.ticks(3)
    assert superseded(world.updates(first), second) == world.hub.devices.keys()
    for name in world.hub.devices:
        world.hub.reconnect(name)
    assert world.until_over(second).counts.completed == 3
    assert set(running(world).values()) == {"2.5.0"}


def test_a_batch_that_was_leased_before_a_later_rollout_existed_starts_no_device() -> None:
    world = World(devices(20))
    first = roll_out(world, "2.4.0")
    batches = world.advance()
    second = roll_out(world, "2.5.0")
    world.dispatch(*batches)
    assert superseded(world.updates(first), second) == world.hub.devices.keys()
    assert world.hub.started == 0


def test_a_later_rollout_that_comes_between_a_batchs_reads_and_its_claim_wins() -> None:
    world = World(devices(20))
    first = roll_out(world, "2.4.0")
    batches = world.advance()
    hub: Any = world.hub
    query, made = hub.query_twins, list[str]()

    def query_late(ids: Any) -> Any:
        hub.query_twins = query
        made.append(roll_out(world, "2.5.0"))
        return query(ids)

    hub.query_twins = query_late
    world.dispatch(*batches)
    assert superseded(world.updates(first), made[0]) == world.hub.devices.keys()
    assert world.hub.started == 0


def test_a_paused_rollout_loses_its_devices_too() -> None:
    world = World(devices(20))
    first = roll_out(world, "2.4.0")
    commands.run_command(world.services, first, operator_commands.pause, ADA)
    second = roll_out(world, "2.5.0")
    world.ticks(2)
    assert superseded(world.updates(first), second) == world.hub.devices.keys()


def test_a_scheduled_rollout_loses_its_devices_when_it_starts() -> None:
    world = World(devices(20))
    at_one = world.request(firmware=firmware("2.4.0"), start_at=world.now + timedelta(hours=1))
    first = create(world.services, at_one, None).rollout.id
    second = roll_out(world, "2.5.0", *list(world.hub.devices)[:15])
    cancelled = roll_out(world, "2.6.0", waves=(WavePlan(size=1, approval=True),))
    commands.cancel(world.services, cancelled, ADA)
    world.ticks(3)
    assert world.rollout(first).counts.queued == 20
    world.pass_time(hours=1)
    assert world.until_over(first).counts.completed == 5
    assert len(superseded(world.updates(first), second)) == 15


def test_only_the_shared_devices_are_skipped() -> None:
    world = World(devices(250))
    names = tuple(world.hub.devices)
    first = roll_out(world, "2.4.0")
    second = roll_out(world, "2.5.0", *names[100:115])
    assert world.until_over(first).counts.completed == 235
    assert superseded(world.updates(first), second) == set(names[100:115])
    world.until_over(second)
    expected = {name: "2.5.0" if name in names[100:115] else "2.4.0" for name in names}
    assert running(world) == expected


def test_a_device_in_flight_is_followed_and_not_tried_again() -> None:
    world = World(devices(3))
    for found in world.hub.devices.values():
        found.fault = Fault.FAILING
    retry = Retry(attempts=3, on=frozenset({RetryOn.REPORTED}))
    first = roll_out(world, "2.4.0", retry=retry)
    world.hub.devices["d-000"].fault = Fault.NONE
    assert world.rollout(first).counts.updating == 3
    second = roll_out(world, "2.5.0")
    for found in world.hub.devices.values():
        found.fault = Fault.NONE
    world.until_over(first)
    assert {item.attempt for item in world.updates(first)} <= {1, 2}
    gone = superseded(world.updates(first), second)
    ended = {item.device_id for item in world.updates(first) if item.state is DeviceState.COMPLETED}
    assert gone | ended == world.hub.devices.keys()
    assert world.until_over(second).counts.completed == 3
    assert set(running(world).values()) == {"2.5.0"}


def test_a_later_rollout_that_was_cancelled_before_it_reached_a_device_does_not_count() -> None:
    world = World(devices(20))
    first = roll_out(world, "2.4.0")
    second = roll_out(world, "2.5.0", waves=(WavePlan(size=1), WavePlan(size=19, approval=True)))
    commands.cancel(world.services, second, ADA)
    assert world.until_over(first).counts.completed == 20
    assert set(running(world).values()) == {"2.4.0"}


def test_the_newest_of_three_rollouts_is_named() -> None:
    world = World(devices(20))
    first, second, third = (roll_out(world, version) for version in ("2.4.0", "2.5.0", "2.6.0"))
    world.ticks(2)
    assert superseded(world.updates(first), third) == world.hub.devices.keys()
    assert superseded(world.updates(second), third) == world.hub.devices.keys()
    assert world.until_over(third).counts.completed == 20


def test_a_rollback_is_the_newest_rollout_of_its_devices() -> None:
    world = World(devices(5))
    world.until_over(roll_out(world, "1.0.0"))
    undone = roll_out(world, "2.4.0")
    world.until_over(undone)
    names = tuple(world.hub.devices)
    for name in names:
        world.hub.disconnect(name)
    hotfix = roll_out(world, "2.4.1")
    world.pass_time(seconds=1)
    back = roll_back(world.services, undone, ADA).rollout.id
    world.ticks(3)
    assert superseded(world.updates(hotfix), back) == world.hub.devices.keys()


def test_the_audit_trails_of_both_rollouts_tell_what_is_superseded() -> None:
    world = World(devices(20))
    first, second = roll_out(world, "2.4.0"), roll_out(world, "2.5.0")
    world.tick()
    (taking,) = [item for item in world.rollout(second).audit.events if item.action == "supersedes"]
    assert (
        taking.message == f"20 devices queued in 1 earlier rollout will be skipped there: {first}."
    )
    (losing,) = [item for item in world.rollout(first).audit.events if item.action == "superseded"]
    assert losing.message == f"Skipped 20 devices: later rollouts have them: {second}."


def test_two_rollouts_that_are_created_at_once_find_each_other() -> None:
    world = World(devices(3))
    store: Any = world.stores.rollouts
    add, made = store.add, list[str]()

    def add_late(*arguments: Any, **more: Any) -> Any:
        store.add = add
        made.append(roll_out(world, "2.5.0"))
        return add(*arguments, **more)

    store.add = add_late
    first = roll_out(world, "2.4.0")
    (second,) = made
    assert superseded(world.updates(first), second) == world.hub.devices.keys()
    assert world.until_over(second).counts.completed == 3
    assert set(running(world).values()) == {"2.5.0"}


def test_a_creation_that_crashed_supersedes_nothing() -> None:
    world = World(devices(20))
    first = roll_out(world, "2.4.0")
    store: Any = world.stores.rollouts
    add = store.add

    def add_never(*_: Any, **__: Any) -> Any:
        raise ValueError("crash")

    store.add = add_never
    with pytest.raises(ValueError, match="crash"):
        roll_out(world, "2.5.0")
    store.add = add
    assert world.rollout(first).later.ids
    assert world.until_over(first).counts.completed == 20
    world.pass_time(minutes=10)


def test_a_rollout_without_shared_devices_reads_nothing_more() -> None:
    world = World([device(f"d-{n}") for n in range(20)])
    roll_out(world, "2.4.0", "d-0", "d-1")
    first = roll_out(world, "2.5.0", *[f"d-{n}" for n in range(2, 20)])
    assert world.rollout(first).later.ids == ()
    assert world.until_over(first).counts.completed == 18


def test_a_large_rollout_supersedes_from_its_creation_and_when_it_is_resolved() -> None:
    world = World(devices(1200))
    names = tuple(world.hub.devices)
    first = roll_out(world, "2.4.0", *names[:50])
    commands.run_command(world.services, first, operator_commands.pause, ADA)
    second = roll_out(world, "2.5.0")
    assert world.rollout(first).later.ids == (second,)
    world.until_over(second)
    assert superseded(world.updates(first), second) == set(names[:50])
    assert world.rollout(first).status is RolloutStatus.PAUSED or world.rollout(first).is_over
    assert set(running(world).values()) == {"2.5.0"}


def test_a_retry_skips_the_devices_that_a_later_rollout_has_and_says_so() -> None:
    world = World(devices(20))
    names = tuple(world.hub.devices)
    for name in names[:5]:
        world.hub.devices[name].fault = Fault.FAILING
    calm = FailureGate(acceptable=percent(50), unacceptable=percent(99))
    first = roll_out(world, "2.4.0", failure_gate=calm)
    assert world.until_over(first).counts.failed == 5
    for found in world.hub.devices.values():
        found.fault = Fault.NONE
    second = roll_out(world, "2.5.0", *names[:3])
    world.until_over(second)
    commands.retry(world.services, first, ADA)
    assert superseded(world.updates(first), second) == set(names[:3])
    world.until_over(first)
    versions = running(world)
    assert {versions[name] for name in names[:3]} == {"2.5.0"}
    assert {versions[name] for name in names[3:]} == {"2.4.0"}
    messages = [event.message for event in world.rollout(first).audit.events]
    assert f"Skipped 3 devices: later rollouts have them: {second}." in messages


def test_superseded_devices_can_be_retried_when_the_later_rollout_was_cancelled() -> None:
    world = World(devices(20))
    first = roll_out(world, "2.4.0", waves=(WavePlan(size=5),))
    world.tick()
    second = roll_out(world, "2.5.0", waves=(WavePlan(size=5, approval=True),))
    assert world.until_over(first).counts.skipped == 15
    commands.cancel(world.services, second, ADA)
    commands.retry(world.services, first, ADA, states=[RetryState.SKIPPED])
    assert world.until_over(first).counts.completed == 20
    assert set(running(world).values()) == {"2.4.0"}


def test_a_rollout_that_is_created_during_a_retry_wins() -> None:
    world = World(devices(20))
    for found in world.hub.devices.values():
        found.fault = Fault.FAILING
    calm = FailureGate(acceptable=percent(50), unacceptable=percent(99))
    first = roll_out(world, "2.4.0", failure_gate=calm)
    world.until_over(first)
    targets: Any = world.stores.targets
    find_later, made = targets.find_later, list[str]()

    def find_before(*arguments: Any) -> Any:
        targets.find_later = find_later
        found = find_later(*arguments)
        made.append(roll_out(world, "2.5.0"))
        return found

    targets.find_later = find_before
    commands.retry(world.services, first, ADA)
    for device_ in world.hub.devices.values():
        device_.fault = Fault.NONE
    world.until_over(first)
    assert superseded(world.updates(first), made[0]) == world.hub.devices.keys()
