"""Devices refuse or defer an update, and the update keeps their reason."""

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
    error_code,
    follow,
    make_accepted,
    make_claimed,
    make_in_doubt,
)

LOW = {"Response": "Deferred: the battery is at 10 %, 30 % are needed", "deferred": "lowBattery"}
NOT_READY = (
    "The device is not ready (lowBattery): Deferred: the battery is at 10 %, 30 % are needed"
)
DEFERRED = Responded(MethodResponse(status=409, payload=LOW))
REFUSED = "The device refused the update with status 400"
ONE_ATTEMPT = Strategy(retry=Retry(attempts=1), timeout=timedelta(seconds=60))
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
        ({"Response": "evil\u202etxt.exe\u3164"}, f"{REFUSED}: evil txt.exe."),
        ({"Response": 7, "errorCode": ["x"]}, f'{REFUSED}: ["x"], 7.'),
        ({"errorCode": 5379}, f"{REFUSED}: 5379."),
        ('{"errorCode": "noRoom", "Response": "no room"}', f"{REFUSED}: noRoom, no room."),
        ({"Response": " . "}, f"{REFUSED}."),
        ("Response", f"{REFUSED}."),
        (None, f"{REFUSED}."),
    ],
)
def test_a_refusal_keeps_the_reason_of_the_device(payload: Any, message: str) -> None:
    response = MethodResponse(status=400, payload=payload)
    update = invoking.record_outcome(make_moment(), make_claimed(), 1, Responded(response))
    assert update.error is not None
    assert (update.error.code, update.error.message) == ("rejected", message)


def test_a_long_refusal_is_cut() -> None:
    payload = {"Response": "x" * 10_000, "errorCode": "y" * 10_000}
    assert len(device_words.describe_refusal(MethodResponse(status=400, payload=payload))) < 700


def test_a_long_refusal_shows_no_part_of_a_secret() -> None:
    firmware = make_rollout().firmware
    uri = f"{firmware.package_uri}?sig=0123456789"
    rollout = make_rollout(firmware=type(firmware)(version="2.4.0", package_uri=uri))
    said = Responded(MethodResponse(status=400, payload={"Response": f"{'x' * 290} 0123456789"}))
    update = invoking.record_outcome(make_moment(rollout=rollout), make_claimed(), 1, said)
    assert update.error is not None
    assert "0123" not in update.error.message


@given(json_values | st.fixed_dictionaries({}, optional=dict.fromkeys(LOW, json_values)))
def test_any_response_of_a_device_is_recorded(payload: Any) -> None:
    for status in (200, 400, 409):
        response = Responded(MethodResponse(status=status, payload=payload))
        assert (
            invoking.record_outcome(make_moment(), make_claimed(), 1, response).method is not None
        )


# -- deferring -------------------------------------------------------------------------------


def defer_next_attempt(update: DeviceUpdate) -> DeviceUpdate:
    """Time an update out, and send its next attempt to a device that defers it."""
    applying = speaking_twin("applying", 50)
    strategy = Strategy(timeout=timedelta(seconds=60))
    waiting = follow(make_moment(60, strategy), update, applying)
    assert (waiting.state, waiting.attempts_used) == (DeviceState.QUEUED, 1)
    again = invoking.claim(make_moment(90, strategy), waiting, applying)
    return invoking.record_outcome(make_moment(91, strategy), again, 2, DEFERRED)


def test_a_deferred_update_waits_and_keeps_the_reason() -> None:
    update = invoking.record_outcome(make_moment(), make_claimed(), 1, DEFERRED)
    assert (update.state, update.attempt, update.attempts_used) == (DeviceState.QUEUED, 2, 0)
    assert update.not_before == at(30)
    assert update.explanation is not None
    assert update.explanation.startswith(f"{NOT_READY}. Tried again within 30 s, until ")
    assert update.method == DEFERRED.response


def test_a_deferral_after_a_timeout_uses_no_attempt() -> None:
    update = defer_next_attempt(make_accepted())
    assert (update.state, update.attempt, update.attempts_used) == (DeviceState.QUEUED, 3, 1)


def test_a_deferral_ends_the_doubt_after_a_lost_response() -> None:
    again = invoking.claim(make_moment(30), make_in_doubt(), STANDING_BY)
    update = invoking.record_outcome(make_moment(31, ONE_ATTEMPT), again, 1, DEFERRED)
    assert (update.state, update.attempt, update.in_doubt) == (DeviceState.QUEUED, 2, False)


def test_a_device_may_defer_any_number_of_times_until_the_deadline() -> None:
    retry = Retry(attempts=1, on=frozenset(RetryOn), max_delay=timedelta(seconds=60))
    strategy = Strategy(retry=retry, offline=Offline(deadline=timedelta(hours=1)))
    update, sent = make_update(), 0
    for seconds in range(0, 4_000, 10):
        moment = make_moment(seconds, strategy)
        update = follow(moment, update, STANDING_BY)
        if not update.state.ended and readiness.is_ready(moment, update):
            sent += 1
            update = invoking.claim(moment, update, STANDING_BY)
            update = invoking.record_outcome(moment, update, update.attempt, DEFERRED)
    assert sent > 50
    assert (update.state, update.error) == (DeviceState.SKIPPED, None)
    assert update.ended_at == at(3_600)
    assert update.explanation is not None
    assert NOT_READY in update.explanation


def test_a_device_that_defers_after_a_failed_attempt_fails_at_the_deadline() -> None:
    update = defer_next_attempt(make_accepted())
    moment = make_moment(90 + 8 * 24 * 60 * 60, Strategy(timeout=timedelta(seconds=60)))
    again = invoking.claim(moment, follow(moment, update, STANDING_BY), STANDING_BY)
    ended = invoking.record_outcome(moment, again, 3, DEFERRED)
    assert error_code(ended) == "unreachable"


@pytest.mark.parametrize("status", [200, 400])
def test_only_a_409_defers(status: int) -> None:
    response = Responded(MethodResponse(status=status, payload=LOW))
    assert (
        invoking.record_outcome(make_moment(), make_claimed(), 1, response).state
        is not DeviceState.QUEUED
    )


@pytest.mark.parametrize("deferred", [None, "", False, "false", "No", 0, "0", {}, []])
def test_a_409_without_a_deferral_means_busy(deferred: Any) -> None:
    response = MethodResponse(status=409, payload={"deferred": deferred})
    assert device_words.describe_deferral(response) is None
    update = invoking.record_outcome(make_moment(), make_claimed(), 1, Responded(response))
    assert update.explanation is not None
    assert update.explanation.startswith("The device is busy with another update.")
    assert update.state is invoking.record_outcome(make_moment(), make_claimed(), 1, BUSY).state


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"deferred": True}, "The device is not ready."),
        ({"deferred": "TRUE", "Response": "low battery"}, "The device is not ready: low battery."),
        ({"deferred": 7}, "The device is not ready (7)."),
        ({"deferred": {"code": "low"}}, 'The device is not ready ({"code": "low"}).'),
        ('{"deferred": "lowBattery"}', "The device is not ready (lowBattery)."),
    ],
)
def test_a_deferral_is_read_in_any_form(payload: Any, message: str) -> None:
    response = MethodResponse(status=409, payload=payload)
    assert device_words.describe_deferral(response) == message
    update = invoking.record_outcome(make_moment(), make_claimed(), 1, Responded(response))
    assert (update.state, update.attempts_used) == (DeviceState.QUEUED, 0)
    assert (update.explanation or "").startswith(message)
