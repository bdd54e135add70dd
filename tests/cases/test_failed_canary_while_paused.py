"""Check that a canary that fails during a pause does not open the next wave.

A person pauses (for lunch, not for the firmware) while the canary is under way. All of it fails.
If the resume acknowledged a failed wave that the person never saw, the whole fleet would get
firmware that failed on every canary.
"""

from dataclasses import replace
from functools import partial

import pytest

from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import FailureGate, OnBreach, Strategy, WavePlan
from functions.rollouts.model.wave import WaveStatus
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands
from functions.use_cases.create import create
from simulator.simulated_fleet.shares import Fault
from tests.cases.steps import require, required
from tests.functions.use_cases.world import World, devices


def test_a_canary_that_failed_during_a_pause_does_not_open_the_next_wave() -> None:
    world = World(devices(500))
    for found in world.hub.devices.values():
        found.fault = Fault.FAILING
    strategy = Strategy(waves=(WavePlan(size=20, name="canary"),))
    rollout_id = create(world.services, world.request(strategy=strategy), None).rollout.id
    world.tick()
    require(world.rollout(rollout_id).waves[0].counts.updating == 20, "the canary is under way")
    commands.run_command(
        world.services, rollout_id, operator_commands.pause, Caller("ada", "lunch")
    )
    world.ticks(30)
    before = world.rollout(rollout_id)
    require(before.waves[0].counts.failed == 20, "all of the canary failed")
    commands.run_command(
        world.services, rollout_id, operator_commands.resume, Caller("ada", "back from lunch")
    )
    world.ticks(1)
    after = world.rollout(rollout_id)
    rest = after.waves[1]
    started = rest.size - rest.counts.queued
    assert started == 0, (
        f"before the resume: {before.status_reason}; after it: {after.status},"
        f" canary {after.waves[0].status} (passed: {after.waves[0].passed}),"
        f" {started} of the rest were invoked"
    )
    assert after.status is RolloutStatus.PAUSED


def pause_and_fail(strategy: Strategy, number: int = 60) -> tuple[World, str]:
    """Pause while the canary is under way, and let all of it fail."""
    world = World(devices(number))
    for found in world.hub.devices.values():
        found.fault = Fault.FAILING
    rollout_id = create(world.services, world.request(strategy=strategy), None).rollout.id
    world.tick()
    commands.run_command(world.services, rollout_id, operator_commands.pause, Caller("ada"))
    world.ticks(30)
    return world, rollout_id


CANARY = Strategy(waves=(WavePlan(size=20, name="canary"),))


def resume(world: World, rollout_id: str, revision: int | None = None) -> RolloutStatus:
    command = partial(operator_commands.resume, revision=revision)
    return commands.run_command(world.services, rollout_id, command, Caller("ada")).status


def test_a_breach_during_a_pause_is_shown_and_is_in_the_audit_trail() -> None:
    world, rollout_id = pause_and_fail(CANARY)
    paused = world.rollout(rollout_id)
    assert (paused.status, paused.waves[0].status) == (RolloutStatus.PAUSED, WaveStatus.FAILED)
    assert required(paused.status_reason, "a reason").code == "failureGate"
    assert "waveFailed" in [event.action for event in paused.audit.events]


def test_a_resume_with_the_revision_that_showed_the_breach_acknowledges_it() -> None:
    world, rollout_id = pause_and_fail(CANARY)
    revision = world.rollout(rollout_id).revision
    assert resume(world, rollout_id, revision) is RolloutStatus.RUNNING
    assert world.rollout(rollout_id).waves[1].status is WaveStatus.RUNNING


def test_a_second_resume_acknowledges_what_the_first_one_told() -> None:
    world, rollout_id = pause_and_fail(CANARY)
    assert resume(world, rollout_id) is RolloutStatus.PAUSED
    told = required(world.rollout(rollout_id).status_reason, "a reason").message
    assert "came after what the resume acknowledged" in told
    assert resume(world, rollout_id) is RolloutStatus.RUNNING


@pytest.mark.parametrize("action", [OnBreach.CANCEL, OnBreach.ROLLBACK])
def test_a_breach_during_a_pause_acts_as_the_strategy_says(action: OnBreach) -> None:
    gate = FailureGate(on_breach=action)
    world, rollout_id = pause_and_fail(replace(CANARY, failure_gate=gate))
    assert world.rollout(rollout_id).status is RolloutStatus.CANCELLED
