"""Check that an approval during a pause is not refused as if no wave waited for it.

Today the refusal says "The rollout is paused, and no wave waits for approval."
"""

import pytest

from functions.errors import ConflictError
from functions.rollouts.model.strategy import Strategy, WavePlan
from functions.rollouts.rollout import operator_commands
from functions.use_cases import commands
from tests.cases.steps import ADA
from tests.functions.use_cases.world import World, devices


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="no number: the refusal of an approval during a pause names the pause alone",
)
def test_an_approval_during_a_pause_is_not_refused_as_if_no_wave_waited() -> None:
    world = World(devices(4))
    rollout_id = world.create(Strategy(waves=(WavePlan(size=1, approval=True),))).rollout.id
    world.ticks(1)
    commands.run_command(world.services, rollout_id, operator_commands.pause, ADA)
    refusal = ""
    try:
        commands.run_command(world.services, rollout_id, operator_commands.approve, ADA)
    except ConflictError as error:
        refusal = str(error)
    assert "no wave" not in refusal, refusal
