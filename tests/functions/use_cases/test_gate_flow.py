"""What the failure gate counts, in whole rollouts."""

from datetime import timedelta

import pytest

from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.method_outcome import MethodResponse, Responded
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import (
    FailureGate,
    OnBreach,
    Retry,
    RetryOn,
    Strategy,
    WavePlan,
    percent,
)
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands
from simulator.simulated_fleet.shares import Fault
from tests.functions.use_cases.world import World, device, devices

REFUSED = Responded(MethodResponse(status=400, payload={"error": "wrong board"}))
ROLLBACK = FailureGate(on_breach=OnBreach.ROLLBACK)
OPERATOR = Caller("ada")


def refuse(world: World, *numbers: int) -> None:
    world.hub.scripted_outcomes |= {f"d-{number:03}": [REFUSED] for number in numbers}


@pytest.mark.parametrize("action", OnBreach)
def test_devices_that_refuse_the_method_only_pause_the_rollout(action: OnBreach) -> None:
    world = World(devices(40))
    refuse(world, *range(20))
    strategy = Strategy(failure_gate=FailureGate(on_breach=action))
    rollout_id = world.create(strategy).rollout.id
    world.ticks(3)
    rollout = world.rollout(rollout_id)
    assert rollout.status is RolloutStatus.PAUSED
    assert rollout.status_reason is not None
    assert rollout.status_reason.code == "notStarted"
    assert "20 of 40 devices" in rollout.status_reason.message
    assert rollout.waves[0].sequence.failures == 0
    commands.run_command(world.services, rollout_id, operator_commands.resume, OPERATOR)
    world.ticks(10)
    assert world.rollout(rollout_id).counts.completed == 20


def test_a_few_devices_that_refuse_stop_nothing() -> None:
    world = World(devices(40))
    refuse(world, 0, 1, 2, 3)
    rollout_id = world.create(Strategy(success_share=percent(90))).rollout.id
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED


def test_a_share_that_only_refusing_devices_miss_rolls_nothing_back() -> None:
    world = World(devices(40))
    refuse(world, 0, 1)
    strategy = Strategy(
        waves=(WavePlan(size=20, name="canary"),),
        success_share=percent(100),
        failure_gate=ROLLBACK,
    )
    rollout_id = world.create(strategy).rollout.id
    world.ticks(12)
    rollout = world.rollout(rollout_id)
    assert rollout.status is RolloutStatus.PAUSED
    assert rollout.status_reason is not None
    assert rollout.status_reason.code == "successShare"
    assert rollout.rollback is None


def test_a_share_that_failures_of_the_firmware_miss_cancels_for_a_rollback() -> None:
    world = World(devices(4, fault=Fault.FAILING))
    lenient = FailureGate(
        acceptable=percent(98), unacceptable=percent(99), on_breach=OnBreach.ROLLBACK
    )
    waves = (WavePlan(size=1, name="canary"),)
    rollout_id = world.create(Strategy(waves=waves, failure_gate=lenient)).rollout.id
    world.ticks(12)
    rollout = world.rollout(rollout_id)
    assert rollout.status is RolloutStatus.CANCELLED
    assert any(event.action == "cancelled" for event in rollout.audit.events)


def test_devices_that_refuse_do_not_hide_the_failures_of_others() -> None:
    """Of 40 devices half refuse, so that 3 failures are 3 of the first 20 devices, not of 40."""
    failing = {1, 15, 39}
    world = World(
        [
            device(f"d-{number:03}", fault=Fault.FAILING if number in failing else Fault.NONE)
            for number in range(40)
        ]
    )
    refuse(world, *range(0, 40, 2))
    strategy = Strategy(max_not_started=percent(60), success_share=percent(30))
    rollout_id = world.create(strategy).rollout.id
    world.ticks(10)
    rollout = world.rollout(rollout_id)
    assert rollout.waves[0].sequence.devices == 20
    assert rollout.status_reason is not None
    assert rollout.status_reason.code == "failureGate"


def test_a_device_that_is_tried_again_keeps_its_start_rank() -> None:
    world = World([device("a", fault=Fault.FAILING), *devices(20)])
    again = Retry(attempts=2, on=frozenset({RetryOn.REPORTED}), initial_delay=timedelta(seconds=30))
    rollout_id = world.create(Strategy(retry=again)).rollout.id
    world.tick()
    first = world.update(rollout_id)
    assert first.start_rank is not None
    world.ticks(4)
    queued = world.update(rollout_id)
    assert (queued.state, queued.attempt) == (DeviceState.QUEUED, 2)
    assert queued.start_rank == first.start_rank
    world.ticks(20)
    failed = world.update(rollout_id)
    assert (failed.state, failed.start_rank) == (DeviceState.FAILED, first.start_rank)
    assert world.rollout(rollout_id).waves[0].sequence.failed == (first.start_rank,)


def test_failures_behind_devices_that_hang_are_found() -> None:
    """A quarter of the devices hangs, and all others fail."""
    world = World(
        device(f"d-{number:03}", fault=Fault.FAILING if number % 4 else Fault.HANGING)
        for number in range(40)
    )
    rollout_id = world.create(Strategy()).rollout.id
    world.ticks(8)
    reason = world.rollout(rollout_id).status_reason
    assert reason is not None
    assert reason.code == "failureGate"
