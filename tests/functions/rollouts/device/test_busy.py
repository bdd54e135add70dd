"""A device that answers that it is busy: with an attempt of this rollout, or something else."""

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
    TUTORIAL_TWIN,
    YES,
    accepted,
    claimed,
    followed,
)

STRATEGY = Strategy(timeout=timedelta(seconds=60), retry=Retry(attempts=9, on=frozenset(RetryOn)))


def moment(seconds: float) -> Moment:
    return make_moment(seconds, STRATEGY)


def asked_again(
    update: DeviceUpdate, twin: DeviceTwin, seconds: float, outcome: MethodOutcome = BUSY
) -> DeviceUpdate:
    """The next attempt of an update that is queued again, and how it was answered."""
    assert update.state is DeviceState.QUEUED
    again = invoking.claim(moment(seconds), update, twin)
    return invoking.record_outcome(moment(seconds), again, again.attempt, outcome)


def hung(twin: DeviceTwin = STANDING_BY) -> DeviceUpdate:
    """It accepted at noon, has shown no sign since, and its time is over."""
    return followed(moment(60), accepted(twin), twin)


def counted(before: DeviceUpdate, after: DeviceUpdate) -> bool:
    """Whether the answer counted as a try, as that of a device that hangs does."""
    assert after.state is DeviceState.QUEUED
    return after.attempts_used == before.attempts_used + 1


@pytest.mark.parametrize("twin", [STANDING_BY, TUTORIAL_TWIN])
def test_a_device_that_hangs_before_its_first_report_counts(twin: DeviceTwin) -> None:
    """Whether it tells of rollouts or not."""
    assert counted(hung(twin), asked_again(hung(twin), twin, 90))


def test_a_device_whose_twin_was_quicker_than_its_answer_and_that_hangs_then_counts() -> None:
    twin = speaking_twin("downloading", 4)
    ahead = following.observe(moment(5), claimed(), twin)
    assert "accepted" not in [line.state for line in ahead.history]
    late = followed(moment(65), ahead, twin)
    assert counted(late, asked_again(late, twin, 90))


def test_a_device_that_never_began_is_waited_for() -> None:
    first = invoking.record_outcome(moment(0), claimed(), 1, BUSY)
    assert not counted(first, asked_again(first, STANDING_BY, 60))


@pytest.mark.parametrize("stage", ["downloading", "applying"])
def test_a_device_at_work_on_another_rollouts_update_is_waited_for(stage: str) -> None:
    """However often it is asked while that goes on."""
    other = speaking_twin(stage, 80, rollout_id="another")
    second = asked_again(hung(), other, 90)
    assert not counted(hung(), second)
    assert "another update" in (second.explanation or "")
    third = asked_again(second, other, 900)
    assert not counted(second, third)


@pytest.mark.parametrize("end", ["completed", "failed", "standBy"])
def test_another_rollouts_update_that_is_over_is_not_what_a_device_is_busy_with(end: str) -> None:
    before = speaking_twin(end, -60, rollout_id="another")
    assert counted(hung(before), asked_again(hung(before), before, 90))


def test_what_a_device_told_before_it_knew_only_the_tutorial_is_not_what_it_is_busy_with() -> None:
    downgraded = make_twin(
        firmwareStatus=("downloading", 20),
        firmwareUpdate=({"rolloutId": "another", "attempt": 1}, -900),
        firmwareVersion=("1.0.0", -900),
    )
    assert counted(hung(), asked_again(hung(), downgraded, 90))


def test_a_device_that_reported_the_end_of_its_attempt_is_busy_with_something_else() -> None:
    twin = speaking_twin("failed", 20)
    failed = followed(moment(20), accepted(), twin)
    second = asked_again(failed, twin, 60)
    assert not counted(failed, second)
    assert not counted(second, asked_again(second, twin, 200))


def test_a_device_that_failed_once_and_hangs_in_its_next_attempt_counts() -> None:
    twin = speaking_twin("failed", 20)
    failed = followed(moment(20), accepted(), twin)
    second = asked_again(failed, twin, 60, YES)
    assert (second.state, second.firmware_status) == (DeviceState.ACCEPTED, None)
    late = followed(moment(120), second, twin)
    assert counted(late, asked_again(late, twin, 200))
