"""A direct method is sent to a device, and each outcome moves the update."""

from datetime import timedelta

import pytest

from functions.rollouts.device import invoking, readiness
from functions.rollouts.device.invoking import CLAIM_DURATION
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.method_outcome import (
    DeviceOffline,
    HubRefused,
    Lost,
    MethodOutcome,
    MethodResponse,
    NotDelivered,
    Responded,
)
from functions.rollouts.model.strategy import Offline, OfflinePolicy, Retry, RetryOn, Strategy
from tests.functions.builders import (
    at,
    make_moment,
    make_rollout,
    make_twin,
    make_update,
    speaking_twin,
)
from tests.functions.rollouts.device.under_way import (
    AWAY,
    BUSY,
    STANDING_BY,
    TUTORIAL_TWIN,
    YES,
    error_code,
    follow,
    make_accepted,
    make_claimed,
    make_in_doubt,
)

SKIP = Strategy(offline=Offline(policy=OfflinePolicy.SKIP), timeout=timedelta(seconds=60))
ASTRAY: list[MethodOutcome] = [DeviceOffline(), NotDelivered("429"), BUSY]


# -- the claim -------------------------------------------------------------------------------


def test_a_claim_remembers_what_the_twin_held_before_the_method() -> None:
    update = make_claimed(speaking_twin("completed", -60, version=("1.0.0", -60)))
    assert update.state is DeviceState.DISPATCHING
    assert update.baseline.status_at == at(-60)
    assert update.previous_version == "1.0.0"
    assert update.dispatched_at == at(0)
    assert update.not_before == at(CLAIM_DURATION.total_seconds())


def test_a_claim_ends_the_wait_for_a_device_and_keeps_whether_it_was_seen_offline() -> None:
    for twin in (STANDING_BY, AWAY):
        update = invoking.claim(make_moment(), make_update(offline=True), twin)
        assert (update.offline, update.seen_offline) == (False, twin is AWAY)


def test_the_next_attempt_begins_with_what_the_twin_holds_then() -> None:
    applying = speaking_twin("applying", 50)
    second = follow(make_moment(60, SKIP), make_accepted(), applying)
    again = invoking.claim(make_moment(90, SKIP), second, applying)
    assert again.baseline.status_at == at(50)
    assert (again.accepted_at, again.method, again.dispatched_at) == (None, None, at(90))


def test_the_next_attempt_still_knows_what_ran_before_the_first() -> None:
    second = follow(make_moment(60, SKIP), make_accepted(), STANDING_BY)
    again = invoking.claim(make_moment(90), second, speaking_twin("standBy", 80, version=("2", 80)))
    assert again.previous_version == "1.0.0"


def test_a_repeat_keeps_what_the_attempt_began_with() -> None:
    """Keep the baseline: the device may have reported between the first call and the repeat."""
    ready = make_in_doubt()._replace(observe_at=None)
    again = invoking.claim(make_moment(30), ready, speaking_twin("downloading", 20))
    assert again.baseline == make_claimed().baseline
    assert (again.dispatched_at, again.attempt) == (at(0), 1)
    assert again.not_before == at(30) + CLAIM_DURATION
    assert again.updated_at == at(30)
    assert not readiness.is_ready(make_moment(30), again)  # sent once, not twice


def test_a_repeat_is_sent_only_to_devices_that_know_repeats() -> None:
    assert readiness.may_send(make_moment(30), make_in_doubt())
    assert not readiness.may_send(make_moment(30), make_in_doubt(TUTORIAL_TWIN))


def test_a_repeat_is_sent_only_while_attempts_are_left() -> None:
    two = Strategy(retry=Retry(attempts=2))
    never = Strategy(retry=Retry(on=frozenset({RetryOn.TIMED_OUT})))
    assert readiness.may_send(make_moment(30, two), make_in_doubt())
    assert not readiness.may_send(make_moment(30, two), make_in_doubt()._replace(attempts_used=2))
    assert not readiness.may_send(make_moment(30, never), make_in_doubt())
    # A failure of the hub, or a device that was offline, uses up none.
    hub_failed = make_in_doubt()._replace(attempts_used=2, delays=1)
    assert readiness.may_send(make_moment(30, two), hub_failed)


def test_nothing_is_sent_to_a_device_that_has_responded_or_ended() -> None:
    assert readiness.may_send(make_moment(), make_update())
    for state in set(DeviceState) - {DeviceState.QUEUED}:
        assert not readiness.may_send(make_moment(), make_update(state=state))


# -- the response ----------------------------------------------------------------------------


def test_an_acceptance_keeps_the_response() -> None:
    update = make_accepted()
    assert update.state is DeviceState.ACCEPTED
    assert update.has_accepted
    assert update.method == YES.response
    assert (update.accepted_at, update.not_before) == (at(0), None)


def test_an_acceptance_ends_the_wait_for_the_device() -> None:
    waited = make_claimed()._replace(delays=2, waiting_since=at(-90))
    update = invoking.record_outcome(make_moment(), waited, 1, YES)
    assert (update.delays, update.waiting_since) == (0, None)


@pytest.mark.parametrize("status", [200, 400])
def test_a_response_is_kept_without_the_secrets_of_the_link(status: int) -> None:
    firmware = Firmware(version="2.4.0", package_uri="https://packages.example/fw?sig=0123456789")
    moment = make_moment(rollout=make_rollout(firmware=firmware))
    response = MethodResponse(status=status, payload={"Response": "not 0123456789", "code": 7})
    update = invoking.record_outcome(moment, make_claimed(), 1, Responded(response))
    payload = {"Response": "not ***", "code": 7}
    assert update.method == MethodResponse(status=status, payload=payload)


@pytest.mark.parametrize("status", [199, 300, 400, 403, 600])
def test_a_refusal_by_the_device_fails_as_rejected(status: int) -> None:
    response = Responded(MethodResponse(status=status))
    update = invoking.record_outcome(make_moment(), make_claimed(), 1, response)
    assert (update.state, error_code(update)) == (DeviceState.FAILED, "rejected")
    assert str(status) in (update.explanation or "")


@pytest.mark.parametrize("status", [200, 202, 299])
def test_every_2xx_status_is_an_acceptance(status: int) -> None:
    response = Responded(MethodResponse(status=status))
    assert (
        invoking.record_outcome(make_moment(), make_claimed(), 1, response).state
        is DeviceState.ACCEPTED
    )


def test_a_busy_device_waits_for_the_next_attempt() -> None:
    update = invoking.record_outcome(make_moment(), make_claimed(), 1, BUSY)
    assert (update.state, update.attempt, update.attempts_used) == (DeviceState.QUEUED, 2, 0)
    assert update.not_before == at(30)
    assert update.method == MethodResponse(status=409)


@pytest.mark.parametrize("outcome", ASTRAY)
def test_an_outcome_that_started_nothing_uses_no_attempt(outcome: MethodOutcome) -> None:
    update = invoking.record_outcome(make_moment(), make_claimed(), 1, outcome)
    assert (update.state, update.attempt, update.attempts_used) == (DeviceState.QUEUED, 2, 0)
    assert update.dispatched_at is None
    used = make_claimed()._replace(attempts_used=1)
    later = invoking.record_outcome(make_moment(), used, 1, outcome)
    assert later.dispatched_at == at(0)  # the earlier attempt may complete after all


@pytest.mark.parametrize("outcome", ASTRAY)
def test_a_device_that_is_never_reached_fails_at_the_deadline_and_not_before(
    outcome: MethodOutcome,
) -> None:
    strategy = Strategy(offline=Offline(deadline=timedelta(seconds=600)))
    update, sent = make_update(), []
    for seconds in range(0, 1000, 10):
        moment = make_moment(seconds, strategy)
        update = follow(moment, update, STANDING_BY)
        if not update.state.ended and readiness.is_ready(moment, update):
            sent.append(seconds)
            update = invoking.claim(moment, update, STANDING_BY)
            update = invoking.record_outcome(moment, update, update.attempt, outcome)
    assert error_code(update) == "unreachable"
    assert update.ended_at == at(600)
    assert sent[-1] <= 600


def test_a_device_that_the_hub_does_not_know_fails_at_once() -> None:
    update = invoking.record_outcome(make_moment(), make_claimed(), 1, HubRefused("unknown"))
    assert error_code(update) == "unreachable"


def test_a_response_to_an_older_attempt_changes_nothing() -> None:
    second = make_claimed()._replace(attempt=2)
    assert invoking.record_outcome(make_moment(), second, 1, YES) is second


def test_a_response_after_the_end_changes_nothing() -> None:
    failed = invoking.record_outcome(make_moment(), make_claimed(), 1, HubRefused("unknown"))
    assert invoking.record_outcome(make_moment(1), failed, 1, YES) is failed


def test_a_response_after_a_report_does_not_move_the_update_back() -> None:
    ahead = follow(make_moment(5), make_claimed(), speaking_twin("downloading", 4))
    update = invoking.record_outcome(make_moment(6), ahead, 1, YES)
    assert (update.state, update.method) == (DeviceState.DOWNLOADING, YES.response)
    assert invoking.record_outcome(make_moment(6), ahead, 1, Lost("504")) is ahead


# -- offline ---------------------------------------------------------------------------------


def test_an_offline_device_waits_until_it_is_seen_connected() -> None:
    waiting = invoking.record_outcome(make_moment(), make_claimed(), 1, DeviceOffline())
    assert waiting.offline
    assert waiting.explanation == (
        "Offline since 2026-11-23T12:00:00Z. It starts once it is connected, until"
        " 2026-11-30T12:00:00Z."
    )
    assert not readiness.is_ready(make_moment(9999), waiting)


def test_an_offline_device_is_skipped_where_the_strategy_says_so() -> None:
    update = invoking.record_outcome(
        make_moment(strategy=SKIP), make_claimed(AWAY), 1, DeviceOffline()
    )
    assert update.state is DeviceState.SKIPPED
    assert update.ended_at == at(0)


def test_a_device_that_was_tried_and_is_gone_is_not_skipped() -> None:
    second = follow(make_moment(60, SKIP), make_accepted(), STANDING_BY)
    again = invoking.claim(make_moment(90, SKIP), second, AWAY)
    update = invoking.record_outcome(make_moment(90, SKIP), again, 2, DeviceOffline())
    assert (update.state, error_code(update)) == (DeviceState.FAILED, "unreachable")


def test_waiting_for_another_rollout_uses_no_attempt() -> None:
    update = invoking.wait_for_turn(make_moment(1), make_update(), "busy")
    assert (update.state, update.attempt, update.attempts_used) == (DeviceState.QUEUED, 1, 0)
    assert update.not_before == at(31)


def test_waiting_for_another_rollout_ends_at_the_deadline() -> None:
    strategy = Strategy(offline=Offline(deadline=timedelta(seconds=100)))
    waiting = invoking.wait_for_turn(make_moment(0, strategy), make_update(), "busy")
    assert not invoking.wait_for_turn(make_moment(99, strategy), waiting, "busy").state.ended
    assert invoking.wait_for_turn(make_moment(100, strategy), waiting, "busy").state.ended


# -- lost responses --------------------------------------------------------------------------


def test_a_lost_response_keeps_the_attempt_and_counts_as_used() -> None:
    update = make_in_doubt()
    assert (update.state, update.attempt) == (DeviceState.DISPATCHING, 1)
    assert (update.in_doubt, update.attempts_used, update.not_before) == (True, 1, at(30))
    assert not readiness.is_ready(make_moment(9999), update)


def test_a_failure_of_the_hub_uses_no_attempt_and_waits_longer_each_time() -> None:
    failure = Lost("500", hub_failed=True)
    first = invoking.record_outcome(make_moment(5), make_claimed(), 1, failure)
    assert (first.attempts_used, first.delays, first.in_doubt) == (0, 1, True)
    assert (first.not_before, first.observe_at, first.updated_at) == (at(35), at(35), at(5))
    again = invoking.claim(make_moment(40), first, STANDING_BY)
    second = invoking.record_outcome(make_moment(41), again, 1, failure)
    assert (second.attempts_used, second.delays, second.not_before) == (0, 2, at(101))
    silent = invoking.record_outcome(make_moment(41), again, 1, Lost("504"))
    assert (silent.attempts_used, silent.delays, silent.not_before) == (1, 0, at(71))


@pytest.mark.parametrize("outcome", ASTRAY)
def test_a_repeat_that_goes_astray_keeps_the_attempt_that_may_be_running(
    outcome: MethodOutcome,
) -> None:
    again = invoking.claim(make_moment(30), make_in_doubt(), STANDING_BY)
    update = invoking.record_outcome(make_moment(31), again, 1, outcome)
    assert (update.state, update.attempt) == (DeviceState.DISPATCHING, 1)
    assert update.in_doubt
    failed = speaking_twin("failed", 35, errorCode="x")
    assert follow(make_moment(40), update, failed).state is DeviceState.FAILED


def test_an_acceptance_of_the_repeat_ends_the_doubt() -> None:
    again = invoking.claim(make_moment(30), make_in_doubt(), STANDING_BY)
    update = invoking.record_outcome(make_moment(31), again, 1, YES)
    assert (update.state, update.in_doubt, update.attempt) == (DeviceState.ACCEPTED, False, 1)


@pytest.mark.parametrize("delays", [0, 1])
def test_an_offline_device_whose_response_was_lost_is_never_skipped(delays: int) -> None:
    again = invoking.claim(make_moment(30, SKIP), make_in_doubt(), STANDING_BY)
    again = again._replace(delays=delays, attempts_used=0)
    update = invoking.record_outcome(make_moment(31, SKIP), again, 1, DeviceOffline())
    assert update.state is DeviceState.DISPATCHING


def test_an_earlier_attempt_may_still_complete_after_a_throttled_one() -> None:
    """Test a device of the tutorial's contract, whose reports differ only in time."""
    silent = follow(make_moment(30), make_in_doubt(TUTORIAL_TWIN), TUTORIAL_TWIN)
    second = follow(make_moment(3600), silent, TUTORIAL_TWIN)
    again = invoking.claim(make_moment(3690), second, TUTORIAL_TWIN)
    throttled = invoking.record_outcome(make_moment(3691), again, 2, NotDelivered("429"))
    twin = make_twin(firmwareStatus=("completed", 3700), lastFirmwareUpdate=("now", 3700))
    assert follow(make_moment(3701), throttled, twin).state is DeviceState.COMPLETED
