"""How a device update is moved, taken back, given up and put off."""

from datetime import timedelta

import pytest

from functions.rollouts.device import invoking, moves
from functions.rollouts.model.device_state import FIRMWARE_FAILURES, DeviceState, ErrorCode
from functions.rollouts.model.device_update import HistoryEntry
from functions.rollouts.model.strategy import Offline, Strategy
from tests.functions.builders import at, make_moment, make_update
from tests.functions.rollouts.device.under_way import (
    BUSY,
    STANDING_BY,
    YES,
    error_code,
    make_accepted,
    make_claimed,
    make_in_doubt,
)

IMPATIENT = Strategy(offline=Offline(deadline=timedelta(seconds=100)))


# -- a claim that is taken back ----------------------------------------------------------------


def test_a_claim_that_is_taken_back_leaves_the_update_as_it_was() -> None:
    for before in (make_update(), make_in_doubt()):
        claimed = invoking.claim(make_moment(30), before, STANDING_BY)
        taken_back = moves.take_back(make_moment(40), claimed, before)
        assert taken_back == before._replace(updated_at=at(40))


def test_a_claim_is_not_taken_back_once_its_update_has_moved_on() -> None:
    queued, in_doubt = make_update(), make_in_doubt()
    claimed = make_claimed()
    for before, update in (
        (queued, invoking.record_outcome(make_moment(), claimed, 1, YES)),
        (queued, in_doubt),
        (queued, claimed._replace(attempt=2)),
        (in_doubt, invoking.record_outcome(make_moment(), in_doubt, 1, YES)),
        (in_doubt, claimed),
        (queued, invoking.record_outcome(make_moment(), claimed, 1, BUSY)),
        (queued, queued),
    ):
        assert moves.take_back(make_moment(40), update, before) is update


# -- the history -------------------------------------------------------------------------------


def test_a_history_keeps_its_latest_thirty_lines() -> None:
    lines = tuple(
        HistoryEntry(DeviceState.QUEUED, number, at(number), "why") for number in range(30)
    )
    update = moves.fail(make_moment(90), make_update(history=lines), ErrorCode.REJECTED, "no")
    assert update.history[:-1] == lines[1:]
    assert (update.history[-1].state, update.history[-1].at) == (DeviceState.FAILED, at(90))


def test_a_stage_shows_that_the_device_has_accepted() -> None:
    claimed = make_claimed()
    line = HistoryEntry(DeviceState.APPLYING, 1, at(9), "It reported applying.")
    assert moves.move_along(claimed, [line]).has_accepted is True
    assert moves.move_along(claimed, []).has_accepted is False


# -- failures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", list(ErrorCode))
def test_a_failure_of_the_firmware_shows_that_the_device_had_accepted(code: ErrorCode) -> None:
    update = moves.fail(make_moment(9), make_claimed(), code, "why")
    assert update.has_accepted is (code in FIRMWARE_FAILURES)
    assert (update.error and update.error.message, update.ended_at) == ("why", at(9))


def test_a_device_whose_response_was_lost_may_complete_late() -> None:
    """Test a device that the hub failed to invoke, which used up no attempt."""
    in_doubt = make_in_doubt()._replace(attempts_used=0)
    update = moves.fail(make_moment(9), in_doubt, ErrorCode.UNREACHABLE, "why")
    assert update.observe_at == at(14)


def test_a_device_that_was_not_sent_its_last_attempt_does_not_complete_late() -> None:
    waiting = make_update(attempts_used=1)
    update = moves.fail(make_moment(9), waiting, ErrorCode.UNREACHABLE, "why")
    assert update.observe_at is None


# -- waits -------------------------------------------------------------------------------------


def test_a_wait_grows_and_ends_at_the_deadline() -> None:
    first = moves.wait_longer(make_moment(0, IMPATIENT), make_update(), "busy")
    assert (first.delays, first.waiting_since, first.not_before) == (1, at(0), at(30))
    second = moves.wait_longer(make_moment(20, IMPATIENT), first, "still busy")
    assert (second.delays, second.waiting_since, second.not_before) == (2, at(0), at(80))
    assert (second.updated_at, second.explanation) == (at(20), "still busy")
    assert second.history == make_update().history
    third = moves.wait_longer(make_moment(40, IMPATIENT), second, "busy")
    assert (third.delays, third.not_before) == (3, at(100))


def test_a_device_is_given_up_at_its_deadline_only_if_it_is_waited_for() -> None:
    assert moves.give_up_if_due(make_moment(900, IMPATIENT), make_update(), "busy") is None
    waiting = moves.wait_longer(make_moment(0, IMPATIENT), make_update(), "busy")
    assert moves.give_up_if_due(make_moment(99, IMPATIENT), waiting, "busy") is None
    given_up = moves.give_up_if_due(make_moment(100, IMPATIENT), waiting, "busy")
    assert given_up is not None
    assert (error_code(given_up), given_up.ended_at) == ("unreachable", at(100))
    assert given_up.explanation == "Not reached within 1 min 40 s. Last: busy"


def test_a_retry_begins_with_a_new_wait_and_without_the_last_attempts_progress() -> None:
    update = make_accepted()._replace(progress_percent=40, delays=2, waiting_since=at(0))
    code = ErrorCode.TIMED_OUT
    again = moves.retry_or_fail(make_moment(60), update, code, "It timed out.")
    assert (again.attempt, again.attempts_used, again.not_before) == (2, 1, at(90))
    assert (again.accepted_at, again.progress_percent) == (None, None)
    assert (again.delays, again.waiting_since) == (0, None)
    assert again.explanation == "It timed out. Attempt 2 of 3 follows in 30 s."
