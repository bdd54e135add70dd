"""Test waves, gates, soaks, windows and approvals on a virtual clock."""

from datetime import time, timedelta

import pytest

from functions.errors import InvalidError
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import (
    FailureGate,
    OnBreach,
    Strategy,
    WavePlan,
    Window,
    percent,
)
from functions.rollouts.model.wave import WaveStatus
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands, read
from functions.use_cases.create import create
from simulator.simulated_fleet.shares import Fault
from tests.functions.use_cases.world import NOON, World, device, devices

ADA = Caller("ada")


def waves(*sizes: int, approval: bool = False) -> tuple[WavePlan, ...]:
    return tuple(
        WavePlan(size=size, name=f"w{n}", approval=approval) for n, size in enumerate(sizes)
    )


def explanation(world: World, rollout_id: str, device_id: str) -> str:
    return read.explain_device_update(
        world.stores.rollouts, rollout_id, device_id, world.now
    ).explanation


def device_in(world: World, rollout_id: str, wave: int) -> str:
    return next(item.device_id for item in world.updates(rollout_id) if item.wave == wave)


def test_the_second_wave_waits_for_the_first_and_explains_it_with_numbers() -> None:
    world = World(devices(40))
    strategy = Strategy(waves=waves(20), success_share=percent(95))
    rollout_id = world.create(strategy).rollout.id
    world.ticks(2)
    waiting = device_in(world, rollout_id, 1)
    told = explanation(world, rollout_id, waiting)
    assert "wave rest opens when 95% of wave w0 completed: 19 of 20, now 0." in told
    assert world.rollout(rollout_id).waves[1].status is WaveStatus.PENDING
    ended = world.until_over(rollout_id)
    assert [wave.status for wave in ended.waves] == [WaveStatus.COMPLETED] * 2
    first, second = ended.waves
    assert first.started_at is not None
    assert second.started_at is not None
    assert first.started_at < second.started_at


def test_slow_devices_of_the_first_wave_continue_while_the_second_runs() -> None:
    fleet = devices(20)
    world = World(fleet)
    strategy = Strategy(waves=waves(10), success_share=percent(90))
    rollout_id = world.create(strategy).rollout.id
    away = device_in(world, rollout_id, 0)
    world.hub.disconnect(away)
    world.ticks(30)
    rollout = world.rollout(rollout_id)
    assert [wave.status for wave in rollout.waves] == [WaveStatus.RUNNING, WaveStatus.COMPLETED]
    world.hub.reconnect(away)
    assert world.until_over(rollout_id).counts.completed == 20


def test_a_firmware_that_fails_everywhere_reaches_the_canary_alone() -> None:
    fleet = [device(f"d-{n}", fault=Fault.FAILING) for n in range(10_000)]
    world = World(fleet)
    strategy = Strategy(waves=(WavePlan(size=percent(1)),))
    rollout_id = world.create(strategy).rollout.id
    world.ticks(60)
    rollout = world.rollout(rollout_id)
    assert rollout.status is RolloutStatus.PAUSED
    assert rollout.status_reason is not None
    assert rollout.status_reason.code == "failureGate"
    assert world.hub.started <= 100


@pytest.mark.parametrize(
    ("on_breach", "status"),
    [
        (OnBreach.PAUSE, RolloutStatus.PAUSED),
        (OnBreach.CANCEL, RolloutStatus.CANCELLED),
        (OnBreach.ROLLBACK, RolloutStatus.CANCELLED),
    ],
)
def test_a_breach_does_what_the_strategy_says(on_breach: OnBreach, status: RolloutStatus) -> None:
    world = World([device(f"d-{n}", fault=Fault.FAILING) for n in range(30)])
    strategy = Strategy(waves=waves(5), failure_gate=FailureGate(on_breach=on_breach))
    rollout_id = world.create(strategy).rollout.id
    world.ticks(20)
    rollout = world.rollout(rollout_id)
    assert rollout.status is status
    assert rollout.is_over is (status is RolloutStatus.CANCELLED)
    assert world.hub.started <= 5


def test_resume_acknowledges_the_known_failures_and_only_new_ones_count() -> None:
    fleet = devices(30)
    world = World(fleet)
    rollout_id = world.create(Strategy(waves=waves(12), success_share=percent(50))).rollout.id
    canaries = [item.device_id for item in world.updates(rollout_id) if item.wave == 0]
    for name in canaries[:2]:
        world.hub.devices[name].fault = Fault.FAILING
    world.ticks(10)
    assert world.rollout(rollout_id).status is RolloutStatus.PAUSED
    commands.run_command(world.services, rollout_id, operator_commands.resume, ADA)
    ended = world.until_over(rollout_id)
    assert (ended.status, ended.counts.failed) == (RolloutStatus.COMPLETED, 2)


def test_a_revert_during_the_soak_is_observed_and_stops_the_others() -> None:
    fleet = [device(f"d-{n}", fault=Fault.REVERTING) for n in range(30)]
    world = World(fleet)
    strategy = Strategy(waves=waves(5), soak=timedelta(minutes=10))
    rollout_id = world.create(strategy).rollout.id
    world.ticks(40)
    rollout = world.rollout(rollout_id)
    assert rollout.status is RolloutStatus.PAUSED
    assert rollout.ended_at is None
    errors = {item.error.code for item in world.updates(rollout_id) if item.error}
    assert errors == {"reverted"}
    assert world.hub.started == 5
    assert world.now - NOON < timedelta(minutes=8)


def test_the_soak_delays_the_next_wave() -> None:
    world = World(devices(10))
    strategy = Strategy(waves=waves(5), soak=timedelta(minutes=10))
    ended = world.until_over(world.create(strategy).rollout.id)
    first, second = ended.waves
    assert first.started_at is not None
    assert second.started_at is not None
    assert second.started_at - first.started_at >= timedelta(minutes=10)


def test_a_wave_with_approval_waits_for_it() -> None:
    world = World(devices(12))
    strategy = Strategy(waves=waves(4, approval=True))
    rollout_id = world.create(strategy).rollout.id
    world.ticks(3)
    rollout = world.rollout(rollout_id)
    assert rollout.status_reason is not None
    assert rollout.status_reason.code == "awaitingApproval"
    assert world.hub.started == 0
    assert "waits for approval" in explanation(world, rollout_id, device_in(world, rollout_id, 0))
    commands.run_command(world.services, rollout_id, operator_commands.approve, ADA)
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED


def test_no_device_starts_before_the_start_time_or_outside_the_window() -> None:
    world = World(devices(12))
    window = Window(start=time(14), end=time(15), timezone="UTC")
    request = world.request(strategy=Strategy(window=window), start_at=NOON + timedelta(minutes=30))
    rollout_id = create(world.services, request, None).rollout.id
    world.ticks(60)
    assert world.rollout(rollout_id).status is RolloutStatus.SCHEDULED
    assert "starts at 2026-11-23T12:30:00Z" in explanation(world, rollout_id, "d-000")
    world.ticks(200)
    assert world.rollout(rollout_id).status is RolloutStatus.RUNNING
    assert "which opens at 2026-11-23T14:00:00Z" in explanation(world, rollout_id, "d-000")
    assert world.hub.started == 0
    assert world.until_over(rollout_id, ticks=600).status is RolloutStatus.COMPLETED
    times = [item.dispatched_at for item in world.updates(rollout_id)]
    assert all(at is not None and at.hour == 14 for at in times)


def test_never_more_devices_are_under_way_than_allowed() -> None:
    world = World(devices(60, stage=25))
    rollout_id = world.create(Strategy(max_in_flight=7)).rollout.id
    most = 0
    while not world.rollout(rollout_id).is_over:
        world.ticks(1)
        most = max(most, world.rollout(rollout_id).counts.updating)
    assert most == 7


def test_a_canary_is_spread_over_the_models() -> None:
    fleet = [device(f"d-{n:03}", stratum="rare" if n < 3 else "common") for n in range(100)]
    world = World(fleet)
    strategy = Strategy(waves=waves(4), stratify_by=("tags.model",))
    rollout_id = world.create(strategy).rollout.id
    canaries = [item.device_id for item in world.updates(rollout_id) if item.wave == 0]
    assert {world.hub.devices[name].stratum for name in canaries} == {"rare", "common"}


def test_waves_that_need_more_devices_than_the_target_has_are_refused() -> None:
    world = World(devices(3))
    with pytest.raises(InvalidError) as caught:
        world.create(Strategy(waves=waves(2, 2)))
    assert caught.value.fields[0].pointer == "/strategy/waves"
    assert world.stores.rollouts.list_open_ids() == []


def test_the_last_wave_below_its_share_ends_the_rollout_as_failed() -> None:
    world = World([device("a", fault=Fault.FAILING)])
    ended = world.until_over(world.create().rollout.id)
    assert ended.status is RolloutStatus.FAILED
    assert ended.status_reason is not None
    assert ended.status_reason.message == (
        "Wave all: 0 of 1 device completed, 1 failed; 1 must complete, because the failure gate"
        " allows no more failures."
    )


def test_a_device_that_reverts_late_in_the_soak_keeps_the_second_wave_closed() -> None:
    """Revert a device that had completed and counted as healthy, before the soak ends."""
    world = World(devices(30))
    strategy = Strategy(waves=waves(5), soak=timedelta(minutes=30), success_share=percent(100))
    rollout_id = world.create(strategy).rollout.id
    canary = world.hub.devices[device_in(world, rollout_id, 0)]
    canary.fault, canary.stage_seconds = Fault.REVERTING, (10, 10, 10, 1_500)
    world.ticks(100)
    rollout = world.rollout(rollout_id)
    assert rollout.waves[0].status is WaveStatus.SOAKING
    assert rollout.waves[0].counts.soaking == 5
    assert "now 0" in explanation(world, rollout_id, device_in(world, rollout_id, 1))
    world.ticks(300)
    rollout = world.rollout(rollout_id)
    assert (rollout.status, rollout.waves[0].counts.failed) == (RolloutStatus.PAUSED, 1)
    assert rollout.status_reason is not None
    assert rollout.status_reason.code == "successShare"
    assert world.hub.started == 5
    commands.run_command(world.services, rollout_id, operator_commands.resume, ADA)
    assert world.until_over(rollout_id).counts.completed == 29


def test_an_update_that_began_in_the_window_ends_outside_of_it() -> None:
    world = World(devices(6, stage=600))
    window = Window(start=time(11), end=time(12, 5), timezone="UTC")
    rollout_id = world.create(Strategy(window=window, max_in_flight=2)).rollout.id
    world.ticks(240)
    rollout = world.rollout(rollout_id)
    assert (rollout.counts.completed, rollout.counts.queued) == (2, 4)
    assert world.hub.started == 2
    world.pass_time(hours=22, minutes=21)
    ended = world.until_over(rollout_id, ticks=60_000)
    assert ended.status is RolloutStatus.COMPLETED
    times = [item.dispatched_at for item in world.updates(rollout_id)]
    assert all(at is not None and (at.hour, at.minute) < (12, 5) for at in times)


def test_a_last_wave_of_several_below_its_share_ends_the_rollout_as_failed() -> None:
    world = World(devices(40))
    lenient = FailureGate(acceptable=percent(50), unacceptable=percent(99))
    strategy = Strategy(waves=waves(20), success_share=percent(90), failure_gate=lenient)
    rollout_id = world.create(strategy).rollout.id
    for name in [item.device_id for item in world.updates(rollout_id) if item.wave == 1][:3]:
        world.hub.devices[name].fault = Fault.FAILING
    ended = world.until_over(rollout_id)
    assert ended.status is RolloutStatus.FAILED
    assert ended.status_reason is not None
    assert ended.status_reason.message == (
        "Wave rest: 17 of 20 devices completed, 3 failed; 90% must complete, which is 18."
    )
