"""Check that a rollback pauses at a breach, whatever the undone rollout did.

Today it inherits `onBreach: cancel` and cancels itself: 23 of 30 devices stay on bad firmware.
"""

import pytest

from functions.rollouts.model.strategy import FailureGate, OnBreach, Retry, Strategy, WavePlan
from functions.use_cases.rollback import roll_back
from tests.cases.steps import ADA, require, roll_out
from tests.functions.use_cases.world import World, devices


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="B6: a rollback pauses")
def test_a_rollback_of_a_rollout_that_cancels_on_breach_pauses_on_breach() -> None:
    world = World(devices(30))
    roll_out(world, "1.0.0")
    strategy = Strategy(
        waves=(WavePlan(size=10),),
        failure_gate=FailureGate(on_breach=OnBreach.CANCEL),
        retry=Retry(attempts=1),
    )
    undone = world.create(strategy).rollout.id
    require(world.until_over(undone).is_over, "the rollout is over")
    back = roll_back(world.services, undone, ADA).rollout
    assert back.strategy.failure_gate.on_breach is OnBreach.PAUSE
