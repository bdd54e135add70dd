"""What devices say when they will not, or cannot, begin, and what becomes of their updates."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.device import device_words, invoking, readiness
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.method_outcome import MethodResponse, Responded
from functions.rollouts.model.strategy import Offline, Retry, RetryOn, Strategy
from tests.functions.builders import at, make_moment, make_rollout, make_update, speaking_twin
from tests.functions.rollouts.device.under_way import (
    BUSY,
    STANDING_BY,
    accepted,
    claimed,
    doubtful,
    error_code,
    followed,
)

LOW = {"Response": "Deferred: the battery is at 10 %, 30 % are needed", "deferred": "lowBattery"}
NOT_READY = (
    "The device is not ready (lowBattery): Deferred: the battery is at 10 %, 30 % are needed"
)
DEFERRED = Responded(MethodResponse(status=409, payload=LOW))
REFUSED = "The device refused the update with status 400"
ONE_TRY = Strategy(retry=Retry(attempts=1), timeout=timedelta(seconds=60))
json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=4,
)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (
            {"Response": "the signature does not fit.", "errorCode": "signatureInvalid"},
            f"{REFUSED}: signatureInvalid, the signature does not fit.",
        ),
        ({"Response": "no room"}, f"{REFUSED}: no room."),
        ({"errorCode": "noRoom"}, f"{REFUSED}: noRoom."),
        ({"Response": "a\nb\x1b[0m", "errorCode": ""}, f"{REFUSED}: a b [0m."),
        ({"Response": 7, "errorCode": ["x"]}, f"{REFUSED}."),
        ({"Response": " . "}, f"{REFUSED}."),
        ("Response", f"{REFUSED}."),
        (None, f"{REFUSED}."),
    ],
)
def test_a_refusal_is_passed_on_in_the_devices_words(payload: Any, message: str) -> None:
    answer = MethodResponse(status=400, payload=payload)
    update = invoking.record_outcome(make_moment(), claimed(), 1, Responded(answer))
    assert update.error is not None
    assert (update.error.code, update.error.message) == ("rejected", message)


def test_a_long_refusal_is_cut() -> None:
    payload = {"Response": "x" * 10_000, "errorCode": "y" * 10_000}
    assert len(device_words.describe_refusal(MethodResponse(status=400, payload=payload))) < 700


def test_a_refusal_shows_no_secret_of_the_package_uri_however_it_is_cut() -> None:
    firmware = make_rollout().firmware
    uri = f"{firmware.package_uri}?sig=0123456789"
    rollout = make_rollout(firmware=type(firmware)(version="2.4.0", package_uri=uri))
    said = Responded(MethodResponse(status=400, payload={"Response": f"{'x' * 290} 0123456789"}))
    update = invoking.record_outcome(make_moment(rollout=rollout), claimed(), 1, said)
    assert update.error is not None
    assert "0123" not in update.error.message


@given(json_values | st.fixed_dictionaries({}, optional=dict.fromkeys(LOW, json_values)))
def test_whatever_a_device_answers_is_taken_in(payload: Any) -> None:
    for status in (200, 400, 409):
        answer = Responded(MethodResponse(status=status, payload=payload))
        assert invoking.record_outcome(make_moment(), claimed(), 1, answer).method is not None


# -- deferring -------------------------------------------------------------------------------


def retried_after(update: DeviceUpdate) -> DeviceUpdate:
    """The next attempt of an update that timed out, sent and answered with a deferral."""
    applying = speaking_twin("applying", 50)
    strategy = Strategy(timeout=timedelta(seconds=60))
    waiting = followed(make_moment(60, strategy), update, applying)
    assert (waiting.state, waiting.attempts_used) == (DeviceState.QUEUED, 1)
    again = invoking.claim(make_moment(90, strategy), waiting, applying)
    return invoking.record_outcome(make_moment(91, strategy), again, 2, DEFERRED)


def test_a_device_that_defers_is_waited_for_and_says_why() -> None:
    update = invoking.record_outcome(make_moment(), claimed(), 1, DEFERRED)
    assert (update.state, update.attempt, update.attempts_used) == (DeviceState.QUEUED, 2, 0)
    assert update.not_before == at(30)
    assert update.explanation is not None
    assert update.explanation.startswith(f"{NOT_READY}. Tried again within 30 s, until ")
    assert update.method == DEFERRED.response


def test_a_device_that_defers_after_an_attempt_that_timed_out_does_not_hang() -> None:
    update = retried_after(accepted())
    assert (update.state, update.attempt, update.attempts_used) == (DeviceState.QUEUED, 3, 1)


def test_a_device_that_defers_is_at_work_on_no_attempt_whose_answer_was_lost() -> None:
    again = invoking.claim(make_moment(30), doubtful(), STANDING_BY)
    update = invoking.record_outcome(make_moment(31, ONE_TRY), again, 1, DEFERRED)
    assert (update.state, update.attempt, update.in_doubt) == (DeviceState.QUEUED, 2, False)


def test_a_device_may_defer_as_often_as_it_likes_until_the_deadline() -> None:
    retry = Retry(attempts=1, on=frozenset(RetryOn), max_delay=timedelta(seconds=60))
    strategy = Strategy(retry=retry, offline=Offline(deadline=timedelta(hours=1)))
    update, asked = make_update(), 0
    for seconds in range(0, 4_000, 10):
        moment = make_moment(seconds, strategy)
        update = followed(moment, update, STANDING_BY)
        if not update.state.ended and readiness.is_ready(moment, update):
            asked += 1
            update = invoking.claim(moment, update, STANDING_BY)
            update = invoking.record_outcome(moment, update, update.attempt, DEFERRED)
    assert asked > 50
    assert (update.state, update.error) == (DeviceState.SKIPPED, None)
    assert update.ended_at == at(3_600)
    assert update.explanation is not None
    assert NOT_READY in update.explanation


def test_one_that_defers_after_something_had_gone_wrong_fails_at_the_deadline() -> None:
    update = retried_after(accepted())
    moment = make_moment(90 + 8 * 24 * 60 * 60, Strategy(timeout=timedelta(seconds=60)))
    ended = followed(moment, update, STANDING_BY)
    assert error_code(ended) == "unreachable"


@pytest.mark.parametrize("status", [200, 400])
def test_only_a_409_defers(status: int) -> None:
    answer = Responded(MethodResponse(status=status, payload=LOW))
    assert (
        invoking.record_outcome(make_moment(), claimed(), 1, answer).state is not DeviceState.QUEUED
    )


@pytest.mark.parametrize("deferred", [None, "", 7, True, {"code": "lowBattery"}])
def test_what_is_no_word_is_no_deferral(deferred: Any) -> None:
    answer = MethodResponse(status=409, payload={"deferred": deferred})
    assert device_words.describe_deferral(answer) is None
    update = invoking.record_outcome(make_moment(), claimed(), 1, Responded(answer))
    assert update.explanation is not None
    assert update.explanation.startswith("The device is busy with another update.")
    assert update.state is invoking.record_outcome(make_moment(), claimed(), 1, BUSY).state
