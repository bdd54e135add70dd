"""Test what a rollback keeps of the strategy of the rollout that it undoes."""

import pytest

from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import FailureGate, OnBreach, Retry, Strategy, WavePlan
from functions.rollouts.rollout import operator_commands
from functions.use_cases import commands
from functions.use_cases.rollback import roll_back
from simulator.simulated_fleet.shares import Fault
from tests.cases.steps import ADA, require, roll_out
from tests.functions.use_cases.world import World, devices


def undone_rollout(on_breach: OnBreach) -> tuple[World, str]:
    """Bring 30 devices from 1.0.0 to 2.4.0 by a rollout that does this at a breach."""
    world = World(devices(30))
    roll_out(world, "1.0.0")
    strategy = Strategy(
        waves=(WavePlan(size=10),),
        failure_gate=FailureGate(on_breach=on_breach),
        retry=Retry(attempts=1),
    )
    undone = world.create(strategy).rollout.id
    require(world.until_over(undone).is_over, "the rollout is over")
    return world, undone


@pytest.mark.parametrize("on_breach", OnBreach)
def test_a_rollback_pauses_on_breach_whatever_the_undone_rollout_did(on_breach: OnBreach) -> None:
    world, undone = undone_rollout(on_breach)
    back = roll_back(world.services, undone, ADA).rollout
    assert back.strategy.failure_gate.on_breach is OnBreach.PAUSE


def test_a_breached_rollback_leaves_no_device_behind_once_a_person_resumes_it() -> None:
    world, undone = undone_rollout(OnBreach.CANCEL)
    back = roll_back(world.services, undone, ADA).rollout.id
    for item in world.updates(back)[:5]:
        world.hub.devices[item.device_id].fault = Fault.FAILING
    world.ticks(20)
    stopped = world.rollout(back)
    assert (stopped.status, stopped.counts.cancelled) == (RolloutStatus.PAUSED, 0)
    commands.run_command(world.services, back, operator_commands.resume, ADA)
    world.until_over(back)
    assert world.rollout(back).counts.completed == 25
