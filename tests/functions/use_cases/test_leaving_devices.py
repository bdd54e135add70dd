"""Devices that are deleted or disabled leave a rollout, and never stop it."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest

from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.method_outcome import DeviceUnknown
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Share, Strategy, WavePlan
from functions.rollouts.rollout import operator_commands
from functions.use_cases import commands, plan
from functions.use_cases.create import create
from simulator.rehearsal.virtual_device import VirtualDevice
from tests.cases.steps import ADA, require
from tests.functions.use_cases.world import World, devices

REMOVED, DISABLED = SkipReason.DEVICE_REMOVED, SkipReason.DEVICE_DISABLED
FEW_TICKS = 4


def remove(world: World, device_id: str, reason: SkipReason) -> VirtualDevice:
    """Delete a device from the virtual hub, or disable it. Return the device."""
    if reason is DISABLED:
        world.hub.disabled.add(device_id)
        return world.hub.devices[device_id]
    return world.hub.devices.pop(device_id)


def start(world: World, count: int, *ticks: float, strategy: Strategy | None = None) -> str:
    """Create a rollout of `count` devices, and run a tick after each of `ticks` seconds."""
    ids = tuple(world.hub.devices)[:count]
    request = world.request(*ids, strategy=strategy or Strategy())
    rollout_id = create(world.services, request, None).rollout.id
    for seconds in ticks:
        world.tick(timedelta(seconds=seconds))
    return rollout_id


def skip_reason(world: World, rollout_id: str, device_id: str = "d-000") -> SkipReason | None:
    return world.update(rollout_id, device_id).skip_reason


@pytest.mark.parametrize("reason", [REMOVED, DISABLED])
@pytest.mark.parametrize("count", [3, 40])
def test_a_device_that_goes_while_it_waits_offline_leaves_within_a_few_ticks(
    reason: SkipReason, count: int
) -> None:
    world = World(devices(count))
    world.hub.disconnect("d-000")
    rollout_id = start(world, count, *[10.0] * 10)
    require(world.update(rollout_id, "d-000").offline, "the device waits offline")
    remove(world, "d-000", reason)
    world.ticks(FEW_TICKS)
    assert skip_reason(world, rollout_id) is reason
    assert world.rollout(rollout_id).status is RolloutStatus.COMPLETED
    assert world.rollout(rollout_id).counts.completed == count - 1


@pytest.mark.parametrize("reason", [REMOVED, DISABLED])
@pytest.mark.parametrize("count", [3, 40])
def test_a_device_that_goes_in_flight_leaves_within_a_few_ticks(
    reason: SkipReason, count: int
) -> None:
    world = World(devices(count, stage=600))
    rollout_id = start(world, count, *[10.0] * 3)
    require(world.update(rollout_id, "d-000").state.in_flight, "the device updates")
    remove(world, "d-000", reason)
    until = FEW_TICKS if count < 20 else 60  # a crowd is observed when it may have news
    world.ticks(until)
    assert skip_reason(world, rollout_id) is reason
    assert world.rollout(rollout_id).counts.failed == 0


@pytest.mark.parametrize("reason", [REMOVED, DISABLED])
def test_a_device_that_goes_during_its_soak_leaves_and_is_not_counted(reason: SkipReason) -> None:
    world = World(devices(3))
    strategy = Strategy(soak=timedelta(minutes=30))
    rollout_id = start(world, 3, *[10.0] * 10, strategy=strategy)
    require(world.update(rollout_id, "d-000").state is DeviceState.SOAKING, "the device soaks")
    remove(world, "d-000", reason)
    ended = world.until_over(rollout_id)
    assert skip_reason(world, rollout_id) is reason
    assert (ended.status, ended.counts.completed) == (RolloutStatus.COMPLETED, 2)


@pytest.mark.parametrize("reason", [REMOVED, DISABLED])
def test_a_device_that_goes_before_its_wave_opens_is_never_invoked(reason: SkipReason) -> None:
    world = World(devices(30))
    strategy = Strategy(waves=(WavePlan(size=10),))
    rollout_id = start(world, 30, strategy=strategy)
    device_id = next(item.device_id for item in world.updates(rollout_id) if item.wave == 1)
    gone = remove(world, device_id, reason)
    ended = world.until_over(rollout_id)
    assert skip_reason(world, rollout_id, device_id) is reason
    assert (ended.status, ended.counts.completed) == (RolloutStatus.COMPLETED, 29)
    assert gone.started == []


@pytest.mark.parametrize("reason", [REMOVED, DISABLED])
def test_a_device_that_goes_while_its_attempt_is_in_doubt_leaves(reason: SkipReason) -> None:
    world = World(devices(3, lose_requests=1))
    rollout_id = start(world, 3)
    require(world.update(rollout_id, "d-000").in_doubt, "the attempt is in doubt")
    remove(world, "d-000", reason)
    ended = world.until_over(rollout_id)
    assert skip_reason(world, rollout_id) is reason
    assert (ended.status, ended.counts.completed) == (RolloutStatus.COMPLETED, 2)


@pytest.mark.parametrize("reason", [REMOVED, DISABLED])
def test_a_rollout_whose_devices_all_leave_ends(reason: SkipReason) -> None:
    world = World(devices(30, stage=600))
    rollout_id = start(world, 30, 10)
    for device_id in list(world.hub.devices):
        remove(world, device_id, reason)
    ended = world.until_over(rollout_id)
    assert ended.is_over
    assert (ended.counts.skipped, ended.counts.failed) == (30, 0)


def test_devices_that_leave_while_the_rollout_is_paused_leave_at_once() -> None:
    world = World(devices(3, stage=600))
    rollout_id = start(world, 3, 10)
    commands.run_command(world.services, rollout_id, operator_commands.pause, ADA)
    remove(world, "d-000", DISABLED)
    world.ticks(FEW_TICKS)
    assert skip_reason(world, rollout_id) is DISABLED


def test_a_device_disabled_before_a_small_rollout_is_skipped_in_the_response() -> None:
    world = World(devices(3))
    world.hub.disabled.add("d-000")
    created = world.create()
    states = {item.device_id: item.skip_reason for item in created.updates}
    assert states == {"d-000": DISABLED, "d-001": None, "d-002": None}


def test_a_disabled_device_that_an_old_query_still_shows_enabled_is_not_skipped_twice() -> None:
    """Enable the device again before it starts, while queries show it disabled."""
    world = World(devices(40))
    world.hub.disabled.add("d-000")
    rollout_id = start(world, 40)
    world.hub.disabled.clear()
    assert world.until_over(rollout_id).counts.completed == 40


def test_stale_ids_in_a_long_list_do_not_stop_a_good_rollout() -> None:
    """One ID in a hundred is stale; the list is too long to be checked before the response."""
    world = World(devices(4950, stage=60), limits=quotas(Tier.S1, 1, 0.8))
    ids = [*world.hub.devices, *(f"gone-{number}" for number in range(50))]
    strategy = Strategy(waves=(WavePlan(size=250),), success_share=Share(9500))
    request = world.request(*ids, strategy=strategy)
    rollout_id = create(world.services, request, None).rollout.id
    world.ticks(60)
    found = world.rollout(rollout_id)
    assert found.status is RolloutStatus.RUNNING, (
        f"{found.status}: {found.status_reason.message if found.status_reason else ''}"
    )


def test_every_stale_id_is_skipped_and_every_device_completes() -> None:
    world = World(devices(1_100))
    ids = [*world.hub.devices, *(f"gone-{number}" for number in range(20))]
    request = world.request(*ids, strategy=Strategy())
    rollout_id = create(world.services, request, None).rollout.id
    ended = world.until_over(rollout_id)
    assert ended.status is RolloutStatus.COMPLETED
    assert (ended.counts.completed, ended.counts.skipped) == (1_100, 20)
    reasons = {item.skip_reason for item in world.updates(rollout_id)}
    assert reasons == {None, REMOVED}
    events = [item.message for item in ended.audit.events if item.action == "devicesGone"]
    assert sum(int(message.split()[0]) for message in events) == 20
    assert all("gone-" in message for message in events)


def test_the_plan_of_a_long_list_names_the_unknown_ids_among_the_first_ones() -> None:
    world = World(devices(1_100))
    ids = ["gone-1", "gone-2", *world.hub.devices, "gone-3"]
    planned = plan.plan(world.services, world.request(*ids, strategy=Strategy()))
    (warning,) = [item for item in planned.warnings if item.code == "unknownDevices"]
    assert warning.count == 2
    assert "Of the first 1,000 device ids, the hub does not know 2: gone-1, gone-2" in (
        warning.message
    )


def test_the_plan_of_a_long_list_without_unknown_ids_does_not_warn() -> None:
    world = World(devices(1_100))
    planned = plan.plan(world.services, world.request(strategy=Strategy()))
    assert "unknownDevices" not in {item.code for item in planned.warnings}


@pytest.mark.parametrize("count", [3, 40])
def test_one_missed_read_does_not_refuse_a_new_rollout(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(devices(count))
    read_twins = world.hub.read_twins

    def miss_first(ids: Sequence[str]) -> Mapping[str, DeviceTwin | None]:
        monkeypatch.undo()
        return {**read_twins(ids), "d-000": None}

    monkeypatch.setattr(world.hub, "read_twins", miss_first)
    assert world.until_over(start(world, count)).counts.completed == count


@pytest.mark.parametrize("count", [5, 60])
def test_a_hub_that_does_not_know_some_devices_for_a_moment_loses_none(count: int) -> None:
    world = World(devices(count))
    affected: Sequence[str] = list(world.hub.devices)[: max(1, count // 10)]
    world.hub.scripted_outcomes = {name: [DeviceUnknown()] for name in affected}
    ended = world.until_over(start(world, count))
    assert (ended.status, ended.counts.completed) == (RolloutStatus.COMPLETED, count)


def test_a_device_that_is_deleted_while_it_waits_is_not_waited_for() -> None:
    world = World(devices(3))
    world.hub.disconnect("d-000")
    rollout_id = world.create().rollout.id
    world.ticks(10)
    del world.hub.devices["d-000"]
    for _ in range(24):
        world.tick(timedelta(hours=1))
    found = world.rollout(rollout_id)
    require(found.counts.completed == 2, "the other devices completed")
    assert found.is_over, f"{found.status}: {found.counts}"
