"""A device responds that it is busy: with an attempt of this rollout, or with other work."""

from datetime import timedelta

import pytest

from functions.rollouts.device import following, invoking
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.method_outcome import MethodOutcome
from functions.rollouts.model.strategy import Retry, RetryOn, Strategy
from tests.functions.builders import make_moment, make_twin, speaking_twin
from tests.functions.rollouts.device.under_way import (
    BUSY,
    STANDING_BY,
    YES,
    follow,
    make_accepted,
    make_claimed,
)

STRATEGY = Strategy(timeout=timedelta(seconds=60), retry=Retry(attempts=9, on=frozenset(RetryOn)))


def moment(seconds: float) -> Moment:
    return make_moment(seconds, STRATEGY)


def attempt_again(
    update: DeviceUpdate, twin: DeviceTwin, seconds: float, outcome: MethodOutcome = BUSY
) -> DeviceUpdate:
    """Send the next attempt of a queued update, and record its outcome."""
    assert update.state is DeviceState.QUEUED
    again = invoking.claim(moment(seconds), update, twin)
    return invoking.record_outcome(moment(seconds), again, again.attempt, outcome)


def make_hung(twin: DeviceTwin = STANDING_BY) -> DeviceUpdate:
    """Make an update accepted at noon that timed out without any report."""
    return follow(moment(60), make_accepted(twin), twin)


def counts_as_attempt(before: DeviceUpdate, after: DeviceUpdate) -> bool:
    """Return whether the response counted as an attempt, as for a device that hangs."""
    assert after.state is DeviceState.QUEUED
    return after.attempts_used == before.attempts_used + 1


def test_a_device_that_hangs_before_its_first_report_uses_an_attempt() -> None:
    assert counts_as_attempt(make_hung(), attempt_again(make_hung(), STANDING_BY, 90))


def test_a_device_that_reports_before_it_responds_and_then_hangs_uses_an_attempt() -> None:
    twin = speaking_twin("downloading", 4)
    ahead = following.observe(moment(5), make_claimed(), twin)
    assert "accepted" not in [line.state for line in ahead.history]
    late = follow(moment(65), ahead, twin)
    assert counts_as_attempt(late, attempt_again(late, twin, 90))


def test_a_busy_device_that_never_began_uses_no_attempt() -> None:
    first = invoking.record_outcome(moment(0), make_claimed(), 1, BUSY)
    assert not counts_as_attempt(first, attempt_again(first, STANDING_BY, 60))


@pytest.mark.parametrize("stage", ["downloading", "applying"])
def test_a_device_busy_with_another_rollout_never_uses_an_attempt(stage: str) -> None:
    other = speaking_twin(stage, 80, rollout_id="another")
    second = attempt_again(make_hung(), other, 90)
    assert not counts_as_attempt(make_hung(), second)
    assert "another update" in (second.explanation or "")
    third = attempt_again(second, other, 900)
    assert not counts_as_attempt(second, third)


@pytest.mark.parametrize("end", ["completed", "failed", "standBy"])
def test_an_ended_update_of_another_rollout_does_not_keep_a_device_busy(end: str) -> None:
    before = speaking_twin(end, -60, rollout_id="another")
    assert counts_as_attempt(make_hung(before), attempt_again(make_hung(before), before, 90))


def test_an_old_report_of_a_downgraded_device_does_not_keep_it_busy() -> None:
    downgraded = make_twin(
        firmwareStatus=("downloading", 20),
        firmwareUpdate=({"rolloutId": "another", "attempt": 1}, -900),
        firmwareVersion=("1.0.0", -900),
    )
    assert counts_as_attempt(make_hung(), attempt_again(make_hung(), downgraded, 90))


def test_a_device_that_reported_the_end_of_its_attempt_is_busy_with_something_else() -> None:
    twin = speaking_twin("failed", 20)
    failed = follow(moment(20), make_accepted(), twin)
    second = attempt_again(failed, twin, 60)
    assert not counts_as_attempt(failed, second)
    assert not counts_as_attempt(second, attempt_again(second, twin, 200))


def test_a_device_that_hangs_after_a_failure_uses_an_attempt() -> None:
    twin = speaking_twin("failed", 20)
    failed = follow(moment(20), make_accepted(), twin)
    second = attempt_again(failed, twin, 60, YES)
    assert (second.state, second.firmware_status) == (DeviceState.ACCEPTED, None)
    late = follow(moment(120), second, twin)
    assert counts_as_attempt(late, attempt_again(late, twin, 200))
