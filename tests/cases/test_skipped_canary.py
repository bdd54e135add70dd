"""Check that a canary without a completed device opens nothing.

With `offline: skip` (or devices that defer the update until the deadline), the success share
counts only devices that are not skipped: 100% of 0 is 0. No device has run the firmware, and the
gate has judged nothing.
"""

from dataclasses import replace
from datetime import timedelta

from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import (
    FailureGate,
    Offline,
    OfflinePolicy,
    OnBreach,
    Strategy,
    WavePlan,
    percent,
)
from functions.rollouts.model.wave import WaveStatus
from functions.rollouts.rollout import operator_commands
from functions.use_cases import commands
from functions.use_cases.create import create
from tests.cases.steps import ADA, require, required
from tests.functions.use_cases.world import World, devices

STRATEGY = Strategy(
    waves=(WavePlan(size=5, name="canary"),), offline=Offline(policy=OfflinePolicy.SKIP)
)


def test_a_canary_that_goes_offline_does_not_open_the_next_wave() -> None:
    world = World(devices(100))
    rollout_id = create(world.services, world.request(strategy=STRATEGY), None).rollout.id
    for update in world.updates(rollout_id)[:5]:
        world.hub.disconnect(update.device_id)
    world.ticks(3)
    canary, rest = world.rollout(rollout_id).waves
    require((canary.counts.skipped, canary.counts.completed) == (5, 0), "the canary is skipped")
    assert rest.status is WaveStatus.PENDING, (
        f"canary {canary.status} with 0 completed; {rest.counts.updating} of the rest are updating"
    )


def test_a_canary_that_is_offline_at_the_start_does_not_open_the_next_wave() -> None:
    world = World(devices(50))
    later = world.now + timedelta(hours=1)
    request = world.request(strategy=STRATEGY, start_at=later)
    rollout_id = create(world.services, request, None).rollout.id
    for update in world.updates(rollout_id)[:5]:
        world.hub.disconnect(update.device_id)
    world.pass_time(hours=1)
    world.ticks(5)
    canary, rest = world.rollout(rollout_id).waves
    require(canary.counts.skipped == 5, "the canary is skipped")
    assert rest.status is WaveStatus.PENDING


def skip_first(world: World, strategy: Strategy, number: int) -> str:
    """Let the first devices go offline before they start."""
    rollout_id = create(world.services, world.request(strategy=strategy), None).rollout.id
    for update in world.updates(rollout_id)[:number]:
        world.hub.disconnect(update.device_id)
    world.ticks(3)
    return rollout_id


def test_a_resume_acknowledges_the_missing_evidence_and_opens_the_next_wave() -> None:
    world = World(devices(30))
    rollout_id = skip_first(world, STRATEGY, 5)
    paused = world.rollout(rollout_id)
    assert paused.status is RolloutStatus.PAUSED
    assert required(paused.status_reason, "a reason").code == "tooLittleEvidence"
    for name in world.hub.devices:
        world.hub.reconnect(name)
    commands.run_command(world.services, rollout_id, operator_commands.resume, ADA)
    ended = world.until_over(rollout_id)
    assert (ended.status, ended.counts.completed) == (RolloutStatus.COMPLETED, 25)


def test_a_rollout_whose_devices_were_all_skipped_fails() -> None:
    world = World(devices(30))
    ended = world.rollout(skip_first(world, replace(STRATEGY, waves=()), 30))
    assert ended.status is RolloutStatus.FAILED
    assert required(ended.status_reason, "a reason").code == "tooLittleEvidence"


def test_too_little_evidence_cancels_where_a_breach_would() -> None:
    world = World(devices(30))
    gate = FailureGate(on_breach=OnBreach.CANCEL)
    ended = world.until_over(skip_first(world, replace(STRATEGY, failure_gate=gate), 5))
    assert (ended.status, ended.counts.completed) == (RolloutStatus.CANCELLED, 0)


def test_a_success_share_of_nothing_does_not_open_the_next_wave_without_evidence() -> None:
    world = World(devices(100))
    strategy = Strategy(waves=(WavePlan(size=10, name="canary"),), success_share=percent(0))
    rollout_id = create(world.services, world.request(strategy=strategy), None).rollout.id
    world.tick()
    while world.rollout(rollout_id).waves[0].counts.completed < 3:
        assert world.rollout(rollout_id).waves[1].status is WaveStatus.PENDING
        world.tick()
    world.tick()
    assert world.rollout(rollout_id).waves[1].status is WaveStatus.RUNNING
