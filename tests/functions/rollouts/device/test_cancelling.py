"""A cancel ends a queued update, or follows it while an earlier attempt may be at work."""

from datetime import timedelta
from typing import Any

import pytest

from functions.rollouts.device import attention, cancelling, following
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.method_outcome import MethodResponse
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.model.wave import Counts
from tests.functions.builders import at, make_moment, make_rollout, make_update, make_wave

CROWD = make_rollout(
    make_wave(50, counts=Counts(updating=50)), strategy=Strategy(timeout=timedelta(seconds=600))
)


def moment(seconds: float) -> Moment:
    """Make a moment in which each device is observed after a quarter of the time that passed."""
    return make_moment(seconds, rollout=CROWD)


def make_between(**values: Any) -> DeviceUpdate:
    """Make an update between two attempts, the first of which began at noon."""
    known: dict[str, Any] = {"dispatched_at": at(0), "not_before": at(900), "offline": True}
    return make_update(attempt=2, delays=1, **(known | values))


def decide(update: DeviceUpdate, seconds: float) -> DeviceUpdate:
    return following.decide(moment(seconds), update, None, connected=True)


# -- at once -----------------------------------------------------------------------------------


def test_a_device_that_was_not_invoked_is_cancelled_at_once() -> None:
    for waiting in (make_update(), make_between(dispatched_at=None)):
        update = cancelling.cancel_queued(moment(200), waiting)
        assert (update.state, update.ended_at) == (DeviceState.CANCELLED, at(200))
        assert update.offline is False
        assert update.explanation == "The rollout was cancelled before the device started."


def test_a_device_whose_last_attempt_failed_is_cancelled_at_once() -> None:
    failed = make_between(firmware_status="failed", method=MethodResponse(status=200))
    update = cancelling.cancel_queued(moment(200), failed, "Stratum a")
    assert (update.state, update.offline) == (DeviceState.CANCELLED, False)
    assert update.explanation == "Stratum a was cancelled before the device's next attempt."


@pytest.mark.parametrize("state", sorted(set(DeviceState) - {DeviceState.QUEUED}))
def test_a_device_that_is_not_queued_is_not_cancelled(state: DeviceState) -> None:
    update = make_between(state=state)
    assert cancelling.cancel_queued(moment(200), update) is update


# -- followed ----------------------------------------------------------------------------------


def test_a_device_between_attempts_is_followed_for_the_timeout() -> None:
    update = cancelling.cancel_queued(moment(200), make_between())
    assert (update.state, update.attempt, update.offline) == (DeviceState.QUEUED, 2, False)
    assert (update.not_before, update.observe_at, update.updated_at) == (at(800), at(250), at(200))
    assert update.history == make_between().history
    assert update.explanation == (
        "The rollout was cancelled, and an earlier attempt may still be at work: the device is"
        " observed until 2026-11-23T12:13:20Z."
    )
    assert cancelling.cancel_queued(moment(210), update) is update


def test_a_followed_device_is_observed_at_its_times_and_cancelled_after_the_timeout() -> None:
    update = cancelling.cancel_queued(moment(200), make_between())
    assert not attention.is_due(moment(249), update)
    assert decide(update, 249) is update
    assert attention.is_due(moment(250), update)
    observed = decide(update, 250)
    assert (observed.not_before, observed.observe_at) == (at(800), at(312.5))
    assert decide(observed, 799).state is DeviceState.QUEUED
    ended = decide(observed, 800)
    assert (ended.state, ended.ended_at, ended.offline) == (DeviceState.CANCELLED, at(800), False)
    assert "has not ended within 10 min" in (ended.explanation or "")
