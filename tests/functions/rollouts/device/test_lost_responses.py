"""A method whose response was lost may have started an update, so nothing starts twice."""

from datetime import timedelta

import pytest

from functions.rollouts.device import attention, following, invoking, readiness
from functions.rollouts.device.invoking import CLAIM_DURATION
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.method_outcome import Lost
from functions.rollouts.model.outage import HUB, Outage
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Offline, Retry, Strategy
from functions.rollouts.model.wave import Counts
from tests.functions.builders import (
    at,
    make_moment,
    make_rollout,
    make_wave,
    speaking_twin,
)
from tests.functions.rollouts.device.under_way import (
    AWAY,
    BUSY,
    STANDING_BY,
    TUTORIAL_TWIN,
    error_code,
    follow,
    make_claimed,
    make_in_doubt,
)

ONE_MINUTE = Strategy(timeout=timedelta(seconds=60))


def test_the_twin_ends_the_doubt_after_a_lost_response() -> None:
    update = following.observe(make_moment(5), make_in_doubt(), speaking_twin("downloading", 4))
    assert (update.state, update.in_doubt) == (DeviceState.DOWNLOADING, False)
    assert update.accepted_at == at(5)


def test_a_lost_response_is_repeated_as_the_same_attempt() -> None:
    settled = follow(make_moment(30), make_in_doubt(), STANDING_BY)
    assert settled.explanation == (
        "No sign of a start on the twin: the same attempt is sent again."
    )
    assert readiness.is_ready(make_moment(30), settled)
    again = invoking.claim(make_moment(30), settled, STANDING_BY)
    assert (again.state, again.attempt) == (DeviceState.DISPATCHING, 1)


def test_a_device_that_may_not_know_repeats_is_only_observed() -> None:
    strategy = Strategy(timeout=timedelta(seconds=600))
    update = make_in_doubt(TUTORIAL_TWIN)
    for seconds in range(0, 600, 10):
        moment = make_moment(seconds, strategy)
        update = follow(moment, update, TUTORIAL_TWIN)
        assert not readiness.is_ready(moment, update)
        assert update.state is DeviceState.DISPATCHING
    given_up = follow(make_moment(600, strategy), update, TUTORIAL_TWIN)
    assert (given_up.state, given_up.attempt) == (DeviceState.QUEUED, 2)
    assert (given_up.attempts_used, given_up.not_before) == (1, at(630))


def test_an_attempt_that_the_hub_lost_is_not_used_up_when_it_is_given_up() -> None:
    update = invoking.record_outcome(
        make_moment(), make_claimed(TUTORIAL_TWIN), 1, Lost("500", hub_failed=True)
    )
    given_up = follow(make_moment(60, ONE_MINUTE), update, TUTORIAL_TWIN)
    assert (given_up.state, given_up.attempt) == (DeviceState.QUEUED, 2)
    assert (given_up.attempts_used, given_up.not_before) == (0, at(90))
    assert (given_up.explanation or "").endswith("It is invoked again within 30 s.")


def test_an_outage_prolongs_the_observation_of_an_attempt_in_doubt() -> None:
    outage = Outage(code=HUB, message="The hub fails.", since=at(10), until=at(20))
    rollout = make_rollout(strategy=ONE_MINUTE, outages=(outage,))
    update = follow(make_moment(60, rollout=rollout), make_in_doubt(TUTORIAL_TWIN), TUTORIAL_TWIN)
    assert (update.state, update.not_before) == (DeviceState.DISPATCHING, at(20 + 600))


@pytest.mark.parametrize(("seconds", "observe_at"), [(200, 250), (500, 600)])
def test_in_a_crowd_an_attempt_in_doubt_is_observed_at_growing_intervals(
    seconds: float, observe_at: float
) -> None:
    strategy = Strategy(timeout=timedelta(seconds=600))
    crowd = make_rollout(make_wave(50, counts=Counts(updating=50)), strategy=strategy)
    moment = make_moment(seconds, rollout=crowd)
    update = follow(moment, make_in_doubt(TUTORIAL_TWIN), TUTORIAL_TWIN)
    assert (update.not_before, update.observe_at) == (at(600), at(observe_at))
    assert update.updated_at == at(seconds)


def test_without_attempts_left_a_device_in_doubt_is_observed_until_the_timeout() -> None:
    strategy = Strategy(timeout=timedelta(seconds=600), retry=Retry(attempts=1))
    update = follow(make_moment(30, strategy), make_in_doubt(), STANDING_BY)
    assert update.not_before == at(600)
    update = follow(make_moment(600, strategy), update, STANDING_BY)
    assert (update.state, error_code(update)) == (DeviceState.FAILED, "unreachable")


def test_an_update_whose_dispatcher_died_is_in_doubt_after_its_claim() -> None:
    lease = CLAIM_DURATION.total_seconds()
    assert follow(make_moment(lease - 0.001), make_claimed(), STANDING_BY) == make_claimed()
    update = follow(make_moment(lease), make_claimed(), STANDING_BY)
    assert (update.in_doubt, update.attempts_used) == (True, 1)


def test_a_device_in_doubt_that_is_offline_fails_at_the_deadline() -> None:
    strategy = Strategy(
        timeout=timedelta(seconds=60), offline=Offline(deadline=timedelta(seconds=1000))
    )
    update = make_in_doubt()
    for seconds in range(30, 1000, 10):
        moment = make_moment(seconds, strategy)
        update = follow(moment, update, AWAY)
        assert (update.state, update.attempt) == (DeviceState.DISPATCHING, 1)
        assert not readiness.is_ready(moment, update)
    update = follow(make_moment(1030, strategy), update, AWAY)
    assert error_code(update) == "unreachable"


def test_a_device_in_doubt_that_the_hub_no_longer_knows_is_skipped() -> None:
    missing = follow(make_moment(30), make_in_doubt(), None)
    assert missing.state is DeviceState.DISPATCHING
    assert follow(make_moment(35), missing, None).state is DeviceState.SKIPPED


def test_a_device_in_doubt_that_stays_busy_is_given_up_at_the_deadline() -> None:
    strategy = Strategy(offline=Offline(deadline=timedelta(seconds=600)))
    update, seconds = make_in_doubt(), 0
    while not update.state.ended and seconds < 2000:
        seconds += 10
        moment = make_moment(seconds, strategy)
        update = follow(moment, update, STANDING_BY)
        if not update.state.ended and readiness.is_ready(moment, update):
            again = invoking.claim(moment, update, STANDING_BY)
            update = invoking.record_outcome(moment, again, 1, BUSY)
    assert (error_code(update), 600 <= seconds < 1000) == ("unreachable", True)


def follow_lost_response(status: RolloutStatus, seconds: float) -> DeviceUpdate:
    """Follow a lost response in a rollout of this status and a timeout of one minute."""
    rollout = make_rollout(strategy=ONE_MINUTE, status=status)
    update = make_in_doubt()
    for second in range(30, int(seconds) + 1, 10):
        moment = make_moment(second, rollout=rollout)
        update = follow(moment, update, STANDING_BY)
        assert not readiness.is_ready(moment, update) or update.state is DeviceState.QUEUED
    return update


@pytest.mark.parametrize("status", [RolloutStatus.CANCELLED, RolloutStatus.PAUSED])
def test_a_lost_response_is_not_repeated_while_nothing_may_start(status: RolloutStatus) -> None:
    """Return the update to the queue at its timeout, because a cancelled rollout must end."""
    assert follow_lost_response(status, 50).state is DeviceState.DISPATCHING
    assert follow_lost_response(status, 60).state is DeviceState.QUEUED


def test_a_repeat_counts_once_against_the_limit_in_flight() -> None:
    strategy = Strategy(timeout=timedelta(seconds=60), max_in_flight=1)
    rollout = make_rollout(make_wave(2, counts=Counts(queued=1, updating=1)), strategy=strategy)
    update = follow(make_moment(30, rollout=rollout), make_in_doubt(), STANDING_BY)
    assert readiness.is_ready(make_moment(30, rollout=rollout), update)


def test_a_repeat_that_is_not_sent_is_due_again() -> None:
    ready = follow(make_moment(30), make_in_doubt(), STANDING_BY)
    due = attention.due_at(make_moment(30), ready)
    assert due is not None
    assert at(30) < due <= at(150)


def test_a_lost_repeat_uses_one_more_attempt() -> None:
    again = invoking.claim(make_moment(30), make_in_doubt(), STANDING_BY)
    lost = invoking.record_outcome(make_moment(31), again, 1, Lost("504"))
    assert (lost.attempts_used, lost.not_before) == (2, at(91))
