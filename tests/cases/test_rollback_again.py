"""Check that a cancelled rollback can be repeated for the devices it did not reach.

Today the second rollback is refused with 409, because the first one exists.
"""

import pytest

from functions.errors import ConflictError
from functions.rollouts.model.strategy import Strategy, WavePlan
from functions.use_cases import commands
from functions.use_cases.rollback import roll_back
from tests.cases.steps import ADA, reported_versions, require, roll_out
from tests.functions.use_cases.world import World, devices


@pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="B5: a rollback is possible for those left"
)
def test_a_cancelled_rollback_can_be_repeated() -> None:
    world = World(devices(20))
    roll_out(world, "1.0.0")
    undone = world.create(Strategy(waves=(WavePlan(size=5),))).rollout.id
    world.until_over(undone)
    back = roll_back(world.services, undone, ADA).rollout.id
    world.ticks(2)
    commands.cancel(world.services, back, ADA)
    require(world.until_over(back).is_over, "the cancelled rollback is over")
    require("2.4.0" in reported_versions(world), "devices are left on 2.4.0")
    try:
        again = roll_back(world.services, undone, ADA).rollout.id
    except ConflictError as error:
        raise AssertionError(f"the second rollback is refused: {error}") from error
    world.until_over(again)
    assert reported_versions(world) == {"1.0.0"}
