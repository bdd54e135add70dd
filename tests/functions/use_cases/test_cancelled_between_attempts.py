"""Test that a cancel follows a device between two attempts to its end, and a rollback finds it."""

from datetime import timedelta
from typing import Any

import pytest

from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollback import RolledBack
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
from functions.use_cases import commands
from functions.use_cases.cancel_queued import cancel_queued_devices
from functions.use_cases.create import create
from functions.use_cases.rollback import roll_back
from simulator.rehearsal.virtual_update import FACTORY_VERSION
from simulator.simulated_fleet.shares import Fault
from tests.cases.steps import ADA, FACTORY, SetUpError, require, required
from tests.functions.use_cases.world import World, device, devices

TIMEOUT = timedelta(minutes=10)
SLOW = (60, 60, 15 * 60, 60)  # slower than the timeout, and it succeeds
RETRY = Retry(initial_delay=timedelta(minutes=30), max_delay=timedelta(minutes=30))
STRATEGY = Strategy(timeout=TIMEOUT, retry=RETRY)


def cancelled_between_attempts(strategy: Strategy = STRATEGY, **more: Any) -> tuple[World, str]:
    """Cancel a rollout whose device `slow` has timed out and is queued again."""
    world = World([*devices(3), device("slow", **more)])
    world.hub.devices["slow"].stage_seconds = SLOW
    world.stores.catalogue.save(FACTORY)
    rollout_id = world.create(strategy).rollout.id
    for _ in range(300):
        if world.update(rollout_id, "slow").attempt == 2:
            break
        world.tick()
    slow = world.update(rollout_id, "slow")
    require((slow.state, slow.attempt) == (DeviceState.QUEUED, 2), "it waits for its second one")
    commands.cancel(world.services, rollout_id, ADA)
    return world, rollout_id


def test_it_stays_queued_with_a_reason_and_completes_if_its_attempt_does() -> None:
    world, rollout_id = cancelled_between_attempts()
    followed = world.update(rollout_id, "slow")
    assert followed.state is DeviceState.QUEUED
    assert "an earlier attempt may still be at work" in (followed.explanation or "")
    assert not world.rollout(rollout_id).is_over
    ended = world.until_over(rollout_id)
    assert (ended.status, ended.counts.completed) == (RolloutStatus.CANCELLED, 4)
    assert world.update(rollout_id, "slow").attempt == 2
    assert len(world.hub.devices["slow"].started) == 1


def test_it_is_cancelled_after_a_timeout_at_most() -> None:
    world, rollout_id = cancelled_between_attempts(fault=Fault.HANGING)
    since = world.now
    world.until_over(rollout_id)
    update = world.update(rollout_id, "slow")
    assert update.state is DeviceState.CANCELLED
    assert "not ended within 10 min" in (update.explanation or "")
    assert TIMEOUT <= world.now - since < TIMEOUT + timedelta(minutes=1)


def test_a_device_whose_attempt_has_failed_is_cancelled_at_once() -> None:
    again = Retry(
        on=frozenset({RetryOn.REPORTED}),
        initial_delay=timedelta(minutes=30),
        max_delay=timedelta(minutes=30),
    )
    world = World([device("a", fault=Fault.FAILING)])
    rollout_id = world.create(Strategy(retry=again)).rollout.id
    world.ticks(8)
    require(world.update(rollout_id).state is DeviceState.QUEUED, "it waits for another attempt")
    commands.cancel(world.services, rollout_id, ADA)
    update = world.update(rollout_id)
    assert update.state is DeviceState.CANCELLED
    assert update.explanation == "The rollout was cancelled before the device's next attempt."


def test_a_device_that_was_never_sent_the_method_is_cancelled_at_once() -> None:
    world = World([device("a", online=False)])
    rollout_id = world.create().rollout.id
    commands.cancel(world.services, rollout_id, ADA)
    update = world.update(rollout_id)
    assert update.state is DeviceState.CANCELLED
    assert update.explanation == "The rollout was cancelled before the device started."


def test_a_rollback_by_command_takes_it_while_it_is_followed() -> None:
    world, rollout_id = cancelled_between_attempts()
    back = roll_back(world.services, rollout_id, ADA).rollout
    assert back.total == 4
    world.until_over(back.id, ticks=900)
    now = world.now.timestamp()
    assert {
        found.latest.version_at(now) for found in world.hub.devices.values() if found.latest
    } == {FACTORY_VERSION}


def test_a_cancelled_rollout_with_followed_devices_is_not_written_in_each_tick() -> None:
    world, rollout_id = cancelled_between_attempts()
    world.ticks(3)
    before = world.rollout(rollout_id).revision
    snapshot = required(world.stores.rollouts.get(rollout_id), "the rollout is stored")
    cancel_queued_devices(world.services, snapshot)
    assert world.rollout(rollout_id).revision == before


# -- by a breach -----------------------------------------------------------------------------

BREACHING = Strategy(
    waves=(WavePlan(size=20),),
    success_share=percent(90),
    timeout=TIMEOUT,
    failure_gate=FailureGate(on_breach=OnBreach.ROLLBACK),
    retry=Retry(initial_delay=timedelta(minutes=10), max_delay=timedelta(minutes=30)),
)


def until_rolled_back(world: World, rollout_id: str) -> str:
    """Run ticks until the rollout's own rollback exists. Return the rollback's ID."""
    for _ in range(1000):
        rollback = world.rollout(rollout_id).rollback
        if isinstance(rollback, RolledBack):
            return rollback.rollback_id
        world.tick()
    raise SetUpError("the breach caused a rollback")


@pytest.mark.parametrize("minutes", [15, 20, 40])
def test_a_rollback_by_a_breach_reaches_every_device_that_started(minutes: int) -> None:
    """Let a device end its first attempt before the rollback exists, about then, or long after."""
    world = World(devices(30))
    world.stores.catalogue.save(FACTORY)
    rollout_id = create(world.services, world.request(strategy=BREACHING), None).rollout.id
    order = [item.device_id for item in world.updates(rollout_id)]
    slow = world.hub.devices[order[0]]
    slow.stage_seconds = (60, 60, minutes * 60, 60)
    for name in order[20:]:  # the next wave starts a minute later, and fails
        world.hub.devices[name].fault = Fault.FAILING
        world.hub.devices[name].stage_seconds = (60, 60, 460, 60)
    back_id = until_rolled_back(world, rollout_id)
    slow.stage_seconds = (10, 10, 10, 10)
    world.until_over(back_id, ticks=900)
    world.ticks(120)
    assert slow.latest is not None
    assert slow.latest.version_at(world.now.timestamp()) == FACTORY_VERSION
