"""Check that a canary without a completed device opens nothing.

Today, with `offline: skip` (or devices that defer the update until the deadline), the success share
counts only devices that are not skipped: 100% of 0 is 0. No device has run the firmware, the
gate has judged nothing, and the next wave opens.
"""

from datetime import timedelta

import pytest

from functions.rollouts.model.strategy import Offline, OfflinePolicy, Strategy, WavePlan
from functions.rollouts.model.wave import WaveStatus
from functions.use_cases.create import create
from tests.cases.steps import require
from tests.functions.use_cases.world import World, devices

STRATEGY = Strategy(
    waves=(WavePlan(size=5, name="canary"),), offline=Offline(policy=OfflinePolicy.SKIP)
)

pytestmark = pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="A1: no evidence, no next wave"
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
