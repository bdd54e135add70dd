"""Check that an approval during a pause is not refused as if no wave waited for it."""

import pytest

from functions.errors import ConflictError
from functions.rollouts.model.strategy import Strategy, WavePlan
from functions.rollouts.rollout import operator_commands
from functions.use_cases import commands
from tests.cases.steps import ADA
from tests.functions.use_cases.world import World, devices


def test_an_approval_during_a_pause_is_not_refused_as_if_no_wave_waited() -> None:
    world = World(devices(4))
    rollout_id = world.create(Strategy(waves=(WavePlan(size=1, approval=True),))).rollout.id
    world.ticks(1)
    commands.run_command(world.services, rollout_id, operator_commands.pause, ADA)
    with pytest.raises(ConflictError, match="The rollout is paused; approve is for rollouts"):
        commands.run_command(world.services, rollout_id, operator_commands.approve, ADA)
