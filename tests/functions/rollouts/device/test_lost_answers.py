"""A method whose answer was lost may have started an update: nothing is started twice."""

from datetime import timedelta

import pytest

from functions.rollouts.device import attention, following, invoking, readiness
from functions.rollouts.device.invoking import CLAIM_DURATION
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.method_outcome import Lost
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
    claimed,
    doubtful,
    error_code,
    followed,
)

ONE_MINUTE = Strategy(timeout=timedelta(seconds=60))


def test_a_lost_answer_is_settled_by_the_twin() -> None:
    update = following.observe(make_moment(5), doubtful(), speaking_twin("downloading", 4))
    assert (update.state, update.in_doubt) == (DeviceState.DOWNLOADING, False)
    assert update.accepted_at == at(5)


def test_a_lost_answer_is_repeated_as_the_same_attempt() -> None:
    settled = followed(make_moment(30), doubtful(), STANDING_BY)
    assert readiness.is_ready(make_moment(30), settled)
    again = invoking.claim(make_moment(30), settled, STANDING_BY)
    assert (again.state, again.attempt) == (DeviceState.DISPATCHING, 1)


def test_a_device_that_may_not_know_repeats_is_watched_instead_of_asked_again() -> None:
    strategy = Strategy(timeout=timedelta(seconds=600))
    update = doubtful(TUTORIAL_TWIN)
    for seconds in range(0, 600, 10):
        moment = make_moment(seconds, strategy)
        update = followed(moment, update, TUTORIAL_TWIN)
        assert not readiness.is_ready(moment, update)
        assert update.state is DeviceState.DISPATCHING
    given_up = followed(make_moment(600, strategy), update, TUTORIAL_TWIN)
    assert (given_up.state, given_up.attempt) == (DeviceState.QUEUED, 2)


def test_without_tries_left_a_lost_answer_is_watched_until_the_timeout() -> None:
    strategy = Strategy(timeout=timedelta(seconds=600), retry=Retry(attempts=1))
    update = followed(make_moment(30, strategy), doubtful(), STANDING_BY)
    assert update.not_before == at(600)
    update = followed(make_moment(600, strategy), update, STANDING_BY)
    assert (update.state, error_code(update)) == (DeviceState.FAILED, "unreachable")


def test_an_update_whose_sender_died_comes_into_doubt_after_its_lease() -> None:
    lease = CLAIM_DURATION.total_seconds()
    assert followed(make_moment(lease - 0.001), claimed(), STANDING_BY) == claimed()
    update = followed(make_moment(lease), claimed(), STANDING_BY)
    assert (update.in_doubt, update.attempts_used) == (True, 1)


def test_a_doubtful_device_that_is_away_is_waited_for_until_the_deadline() -> None:
    """Perhaps the method never reached it."""
    strategy = Strategy(
        timeout=timedelta(seconds=60), offline=Offline(deadline=timedelta(seconds=1000))
    )
    update = doubtful()
    for seconds in range(30, 1000, 10):
        moment = make_moment(seconds, strategy)
        update = followed(moment, update, AWAY)
        assert (update.state, update.attempt) == (DeviceState.DISPATCHING, 1)
        assert not readiness.is_ready(moment, update)
    update = followed(make_moment(1030, strategy), update, AWAY)
    assert error_code(update) == "unreachable"


def test_a_doubtful_device_that_the_hub_no_longer_knows_has_failed() -> None:
    assert followed(make_moment(30), doubtful(), None).state is DeviceState.FAILED


def test_a_doubtful_device_that_stays_busy_is_given_up_at_the_deadline() -> None:
    strategy = Strategy(offline=Offline(deadline=timedelta(seconds=600)))
    update, seconds = doubtful(), 0
    while not update.state.ended and seconds < 2000:
        seconds += 10
        moment = make_moment(seconds, strategy)
        update = followed(moment, update, STANDING_BY)
        if not update.state.ended and readiness.is_ready(moment, update):
            again = invoking.claim(moment, update, STANDING_BY)
            update = invoking.record_outcome(moment, again, 1, BUSY)
    assert (error_code(update), 600 <= seconds < 1000) == ("unreachable", True)


def lost_in(status: RolloutStatus, seconds: float) -> DeviceUpdate:
    """A lost answer, followed in a rollout of this status whose devices may take a minute."""
    rollout = make_rollout(strategy=ONE_MINUTE, status=status)
    update = doubtful()
    for second in range(30, int(seconds) + 1, 10):
        moment = make_moment(second, rollout=rollout)
        update = followed(moment, update, STANDING_BY)
        assert not readiness.is_ready(moment, update) or update.state is DeviceState.QUEUED
    return update


@pytest.mark.parametrize("status", [RolloutStatus.CANCELLED, RolloutStatus.PAUSED])
def test_a_lost_answer_is_not_repeated_while_nothing_may_start(status: RolloutStatus) -> None:
    """It is watched, and in the end goes back to the queue: a cancelled rollout must end."""
    assert lost_in(status, 50).state is DeviceState.DISPATCHING
    assert lost_in(status, 60).state is DeviceState.QUEUED


def test_a_repeat_needs_no_place_beside_the_one_that_its_device_holds() -> None:
    strategy = Strategy(timeout=timedelta(seconds=60), max_in_flight=1)
    rollout = make_rollout(make_wave(2, counts=Counts(queued=1, updating=1)), strategy=strategy)
    update = followed(make_moment(30, rollout=rollout), doubtful(), STANDING_BY)
    assert readiness.is_ready(make_moment(30, rollout=rollout), update)


def test_a_repeat_that_nobody_sends_is_thought_over_again() -> None:
    ready = followed(make_moment(30), doubtful(), STANDING_BY)
    due = attention.due_at(make_moment(30), ready)
    assert due is not None
    assert at(30) < due <= at(150)


def test_a_lost_repeat_leaves_one_try_less() -> None:
    again = invoking.claim(make_moment(30), doubtful(), STANDING_BY)
    lost = invoking.record_outcome(make_moment(31), again, 1, Lost("504"))
    assert (lost.attempts_used, lost.not_before) == (2, at(91))
