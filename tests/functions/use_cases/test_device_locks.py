"""Test devices that know only the tutorial's contract and are in two rollouts."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.rollout_store.ports.device_locks import DeviceLock
from functions.rollouts.device.invoking import CLAIM_DURATION
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Strategy
from functions.use_cases.create import create
from functions.use_cases.device_locks import lock_device
from simulator.rehearsal.virtual_device import VirtualDevice
from tests.functions.fragile import CrashError, Fragile
from tests.functions.use_cases.world import World, device


def make_world(**kind: Any) -> tuple[World, VirtualDevice]:
    only = device("a", tutorial_only=True, **kind)
    return World([only]), only


@pytest.mark.parametrize("after", [False, True])
def test_a_crashed_second_request_does_not_take_over_the_success_of_the_first(after: bool) -> None:
    crashes = 0
    for at in range(1, 15):
        world, only = make_world(stage=60)
        first = world.create().rollout
        weak: Any = Fragile(world.stores, at, after=after)
        try:
            create(replace(world.services, stores=weak), world.request(), "build-2")
        except CrashError:
            crashes += 1
        world.pass_time(minutes=3)
        assert world.until_over(first.id).status is RolloutStatus.COMPLETED
        second = world.create(key="build-2").rollout
        assert world.until_over(second.id).status is RolloutStatus.COMPLETED
        assert [rollout_id for rollout_id, _ in only.started] == [first.id, second.id]
        assert only.overlaps == 0
    assert crashes > 3


def test_an_older_waiting_rollout_does_not_disturb_the_update_of_a_newer_one() -> None:
    """Reconnect the device after the newer rollout's method, whose response was lost."""
    world, only = make_world(online=False, stage=60)
    older = world.create().rollout
    world.clock.now += CLAIM_DURATION
    world.hub.reconnect("a")
    only.lose_responses = 1
    newer = world.create(Strategy(timeout=timedelta(minutes=30))).rollout
    assert world.update(newer.id).in_doubt
    assert world.until_over(newer.id).status is RolloutStatus.COMPLETED
    assert world.until_over(older.id).counts.skipped == 1
    assert [rollout_id for rollout_id, _ in only.started] == [newer.id]
    assert only.overlaps == 0


def test_many_waiting_rollouts_do_not_hide_the_running_one() -> None:
    """Queue twelve rollouts behind each other: the first has begun, and the last one wins."""
    world, only = make_world(stage=100)
    rollouts = [world.create().rollout for _ in range(12)]
    for rollout in rollouts:
        assert world.until_over(rollout.id, ticks=4000).is_over
    assert [rollout_id for rollout_id, _ in only.started] == [rollouts[0].id, rollouts[-1].id]
    assert only.overlaps == 0


def test_a_device_is_updated_by_one_rollout_at_a_time_and_the_other_explains_it() -> None:
    world, only = make_world()
    first, second = world.create().rollout, world.create().rollout
    waiting = world.update(second.id)
    assert waiting.state is DeviceState.QUEUED
    assert first.id in (waiting.explanation or "")
    assert world.until_over(first.id).status is RolloutStatus.COMPLETED
    assert world.until_over(second.id).status is RolloutStatus.COMPLETED
    assert [rollout_id for rollout_id, _ in only.started] == [first.id, second.id]
    assert only.overlaps == 0


def test_a_lock_whose_rollout_was_never_stored_expires() -> None:
    world, _ = make_world()
    ghost = DeviceLock(rollout_id="ghost", taken_at=world.now)
    world.stores.locks.add("a", ghost)
    assert lock_device(world.stores, "mine", "a", world.now) == "ghost"
    later = ghost.taken_at + CLAIM_DURATION
    assert lock_device(world.stores, "mine", "a", later) is None
    assert lock_device(world.stores, "mine", "a", later) is None


@pytest.mark.parametrize("faster", ["another", "mine"])
def test_the_first_of_two_rollouts_locks_the_device(faster: str) -> None:
    world, _ = make_world()
    locks: Any = world.stores.locks
    add_device_lock = locks.add

    def racing(*arguments: Any) -> None:
        add_device_lock("a", DeviceLock(rollout_id=faster, taken_at=world.now))
        add_device_lock(*arguments)

    locks.add = racing
    other = lock_device(world.stores, "mine", "a", world.now)
    assert other == ("another" if faster == "another" else None)


def test_a_device_that_knows_rollouts_is_invoked_and_responds_that_it_is_busy() -> None:
    world = World([device("a", stage=60)])
    first, second = world.create().rollout, world.create()
    assert second.updates[0].state is DeviceState.QUEUED
    assert "busy" in (second.updates[0].explanation or "")
    assert world.until_over(first.id).status is RolloutStatus.COMPLETED
    assert world.until_over(second.rollout.id).status is RolloutStatus.COMPLETED
