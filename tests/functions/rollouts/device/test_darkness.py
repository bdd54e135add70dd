"""The connection state is a hint: two observations, or a call, decide that a device is away."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from functions.rollouts.device import attention, following, readiness
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.outage import AMBIENT, Outage
from functions.rollouts.model.strategy import Offline, Retry, RetryOn, Strategy
from functions.rollouts.model.wave import Counts
from tests.functions.builders import (
    at,
    make_moment,
    make_rollout,
    make_update,
    make_wave,
    speaking_twin,
)
from tests.functions.rollouts.device.under_way import (
    AWAY,
    STANDING_BY,
    TUTORIAL_TWIN,
    error_code,
    follow,
    make_accepted,
    make_soaking,
)

MINUTE = Strategy(timeout=timedelta(seconds=60), retry=Retry(on=frozenset({RetryOn.UNREACHABLE})))
SOAK = Strategy(soak=timedelta(seconds=30))
DARK = speaking_twin("completed", 45, version=("2.4.0", 45), connected=False)


def active(twin: DeviceTwin, at_time: datetime) -> DeviceTwin:
    return replace(twin, active_at=at_time)


# -- at the timeout --------------------------------------------------------------------------


def test_one_observation_of_an_offline_device_does_not_fail_it() -> None:
    update = follow(make_moment(60, MINUTE), make_accepted(), AWAY)
    assert (update.state, update.dark_since) == (DeviceState.ACCEPTED, at(60))
    assert update.updated_at == at(60)
    assert update.explanation == (
        "Accepted at 2026-11-23T12:00:00Z; offline when its timeout of 1 min expired."
        " Observed again in 2 min."
    )


def test_it_is_observed_again_after_two_minutes_and_not_before() -> None:
    update = follow(make_moment(60, MINUTE), make_accepted(), AWAY)
    assert attention.due_at(make_moment(61, MINUTE), update) == at(180)
    assert follow(make_moment(179.9, MINUTE), update, AWAY).state is DeviceState.ACCEPTED
    assert error_code(follow(make_moment(180, MINUTE), update, AWAY)) == "wentDark"


def test_a_device_that_the_second_observation_finds_connected_timed_out() -> None:
    update = follow(make_moment(60, MINUTE), make_accepted(), AWAY)
    assert error_code(follow(make_moment(180, MINUTE), update, STANDING_BY)) == "timedOut"


@pytest.mark.parametrize(
    ("seconds", "code"), [(59, "wentDark"), (60, "wentDark"), (61, "timedOut"), (170, "timedOut")]
)
def test_activity_since_the_first_observation_shows_that_the_device_is_there(
    seconds: float, code: str
) -> None:
    update = follow(make_moment(60, MINUTE), make_accepted(), AWAY)
    ended = follow(make_moment(180, MINUTE), update, active(AWAY, at(seconds)))
    assert (error_code(ended), ended.dark_since) == (code, None)


def test_a_report_between_the_observations_counts() -> None:
    update = follow(make_moment(60, MINUTE), make_accepted(), AWAY)
    assert follow(make_moment(180, MINUTE), update, DARK).state is DeviceState.COMPLETED


def test_an_outage_that_is_noticed_later_takes_back_that_a_device_was_offline() -> None:
    dark = follow(make_moment(60, MINUTE), make_accepted(), AWAY)
    outage = Outage(code=AMBIENT, message="9 of 9 are offline.", since=at(50))
    wave = make_wave(50, counts=Counts(updating=50))
    rollout = make_rollout(wave, strategy=MINUTE, outages=(outage,))
    update = follow(make_moment(200, rollout=rollout), dark, AWAY)
    assert (update.state, update.dark_since) == (DeviceState.ACCEPTED, None)
    assert (update.observe_at, update.updated_at) == (at(250), at(200))
    assert update.explanation == (
        "Offline during an outage, which does not count; it is observed further."
    )


# -- at the end of a soak --------------------------------------------------------------------


def test_a_short_soak_does_not_shorten_the_time_between_the_observations() -> None:
    update = follow(make_moment(75, SOAK), make_soaking(SOAK), DARK)
    for seconds in range(80, 195, 5):
        update = follow(make_moment(seconds, SOAK), update, DARK)
        assert update.state is DeviceState.SOAKING
    assert error_code(follow(make_moment(195, SOAK), update, DARK)) == "wentDark"


def test_a_soaking_device_that_was_active_meanwhile_has_completed() -> None:
    update = follow(make_moment(75, SOAK), make_soaking(SOAK), DARK)
    healthy = follow(make_moment(195, SOAK), update, active(DARK, at(76)))
    assert (healthy.state, healthy.dark_since) == (DeviceState.COMPLETED, None)


def test_a_soaking_device_that_was_active_only_before_went_dark() -> None:
    update = follow(make_moment(75, SOAK), make_soaking(SOAK), DARK)
    assert error_code(follow(make_moment(195, SOAK), update, active(DARK, at(75)))) == "wentDark"


# -- a device that waits for its retry -------------------------------------------------------


def waiting(delays: int) -> DeviceUpdate:
    return make_update(
        attempt=2, delays=delays, waiting_since=at(0), not_before=at(100), offline=True
    )


@pytest.mark.parametrize("connected", [False, None])
@pytest.mark.parametrize("delays", [1, 2, 4, 8, 16, 256])
def test_a_device_that_is_said_to_be_away_is_invoked_when_its_retry_is_due(
    connected: bool | None, delays: int
) -> None:
    moment = make_moment(100)
    early = following.decide(make_moment(99), waiting(delays), None, connected=connected)
    assert not readiness.is_ready(make_moment(99), early)
    update = following.decide(moment, waiting(delays), None, connected=connected)
    assert readiness.is_ready(moment, update)
    assert "offline; it is invoked to be sure" in (update.explanation or "")


@pytest.mark.parametrize("delays", [3, 5, 6, 7, 100])
def test_a_device_that_stays_away_is_invoked_less_and_less_often(delays: int) -> None:
    update = following.decide(make_moment(100), waiting(delays), None, connected=False)
    assert (update.offline, update.delays) == (True, delays + 1)


def test_a_device_is_invoked_once_more_at_its_deadline() -> None:
    strategy = Strategy(offline=Offline(deadline=timedelta(seconds=100)))
    update = following.decide(make_moment(100, strategy), waiting(3), None, connected=False)
    assert readiness.is_ready(make_moment(100, strategy), update)


def test_a_device_that_cannot_refuse_a_second_update_says_why_it_is_not_invoked_again() -> None:
    update = follow(make_moment(60, MINUTE), make_accepted(), TUTORIAL_TWIN)
    message = update.explanation or ""
    assert message.startswith("Accepted at 2026-11-23T12:00:00Z; not finished when its timeout")
    assert "It is not invoked again" in message
