"""A device that cannot refuse gets no second update beside the first.

A device that knows attempts responds 409 while it is at work; one of the tutorial's starts again.
"""

from datetime import timedelta

import pytest

from functions.rollouts.device.earlier_attempts import MAX_WORK
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Offline, Retry, RetryOn, Strategy
from functions.use_cases import commands
from functions.use_cases.create import create
from simulator.rehearsal.virtual_device import VirtualDevice
from simulator.simulated_fleet.shares import Fault
from tests.cases.steps import ADA, require
from tests.functions.use_cases.world import World, device

HALF_HOUR = Strategy(timeout=timedelta(minutes=30))


def make_slow() -> tuple[World, VirtualDevice]:
    """Make a device whose update takes 45 minutes, longer than the timeout."""
    only = device("a", tutorial_only=True, stage=15 * 60)
    return World([only]), only


def test_a_device_that_cannot_refuse_is_never_invoked_while_it_may_be_at_work() -> None:
    world, only = make_slow()
    rollout_id = create(world.services, world.request(strategy=HALF_HOUR), None).rollout.id
    world.ticks(60 * 6)
    require(bool(only.started), "the device has started")
    assert only.overlaps == 0, (
        f"{only.overlaps} overlapping starts, {only.started}: "
        f"{world.update(rollout_id).explanation}"
    )


def test_a_slow_device_fails_at_its_timeout_and_says_why_it_is_not_invoked_again() -> None:
    world, _ = make_slow()
    rollout_id = world.create(HALF_HOUR).rollout.id
    world.ticks(30 * 6 + 1)
    failed = world.update(rollout_id)
    assert failed.error is not None
    assert failed.error.code == "timedOut"
    assert "cannot refuse a second one" in failed.error.message


def test_a_retry_waits_until_the_device_reports_an_end_and_says_so() -> None:
    world, only = make_slow()
    rollout_id = world.create(HALF_HOUR).rollout.id
    world.ticks(30 * 6 + 1)
    only.fault = Fault.FAILING
    commands.retry(world.services, rollout_id, ADA)
    world.ticks(3)
    waiting = world.update(rollout_id)
    assert waiting.state is DeviceState.QUEUED
    assert "An earlier attempt may still be at work" in (waiting.explanation or "")
    assert "2026-11-24T12:00" in (waiting.explanation or "")  # the bound, a day after the method
    world.ticks(60 * 6)
    assert only.overlaps == 0


def test_a_hung_device_is_invoked_again_by_a_retry_after_a_day() -> None:
    only = device("a", tutorial_only=True, hangs=True)
    world = World([only])
    rollout_id = world.create(HALF_HOUR).rollout.id
    world.ticks(30 * 6 + 1)
    commands.retry(world.services, rollout_id, ADA)
    started_at = world.now
    while len(only.started) == 1 and world.now < started_at + 2 * MAX_WORK:
        world.tick(timedelta(minutes=5))
    assert world.now - world.update(rollout_id).queued_at >= MAX_WORK
    assert len(only.started) == 2


def test_a_hotfix_waits_until_the_update_before_it_has_ended() -> None:
    """Create another rollout after the first one has given the slow device up."""
    world, only = make_slow()
    first = world.create(HALF_HOUR).rollout.id
    world.ticks(30 * 6 + 1)
    require(world.rollout(first).is_over, "the first rollout is over")
    second = world.create(HALF_HOUR).rollout.id
    waiting = world.update(second)
    assert waiting.state is DeviceState.QUEUED
    assert first in (waiting.explanation or "")
    world.ticks(16 * 6)
    world.ticks(12, 600)
    assert only.overlaps == 0
    assert [rollout_id for rollout_id, _ in only.started] == [first, second]


def test_a_device_that_went_dark_may_still_be_at_work_when_it_returns() -> None:
    world, only = make_slow()
    first = world.create(HALF_HOUR).rollout.id
    world.ticks(6)
    world.hub.disconnect("a")
    world.ticks(32 * 6)
    require(world.rollout(first).is_over, "the device went dark")
    world.hub.reconnect("a")
    second = world.create(HALF_HOUR).rollout.id
    world.ticks(60 * 6)
    assert only.overlaps == 0
    assert world.until_over(second).is_over


def test_a_device_that_reported_a_failure_is_invoked_again() -> None:
    only = device("a", tutorial_only=True, fault=Fault.FAILING)
    world = World([only])
    retry = Retry(on=frozenset({RetryOn.REPORTED}))
    rollout_id = world.create(Strategy(retry=retry)).rollout.id
    world.ticks(8)
    only.fault = Fault.NONE
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED
    assert only.overlaps == 0


def test_a_device_that_stands_by_after_its_timeout_is_invoked_again() -> None:
    """A device lost its update in a restart, and reports that it stands by."""
    only = device("a", tutorial_only=True, hangs=True)
    world = World([only])
    rollout_id = world.create(HALF_HOUR).rollout.id
    world.ticks(6)
    update = only.latest
    assert update is not None
    read = world.hub.read_twins

    def restarted(ids: list[str]) -> object:
        found = dict(read(ids))
        twin = found["a"]
        assert twin is not None
        reported = {**twin.reported, "firmwareStatus": "standBy"}
        times = {**twin.reported_at, "firmwareStatus": world.now}
        found["a"] = type(twin)(device_id="a", connected=True, reported=reported, reported_at=times)
        return found

    world.hub.read_twins = restarted  # type: ignore[method-assign, assignment]
    world.ticks(31 * 6)
    again = world.update(rollout_id)
    assert again.attempt == 2
    assert again.state is not DeviceState.FAILED


@pytest.mark.parametrize("lost", [1, 2, 5])
def test_lost_responses_never_start_a_second_update(lost: int) -> None:
    only = device("a", tutorial_only=True, stage=60, lose_responses=lost)
    world = World([only])
    strategy = Strategy(offline=Offline(deadline=timedelta(hours=12)))
    rollout_id = world.create(strategy).rollout.id
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED
    assert len(only.started) == 1
