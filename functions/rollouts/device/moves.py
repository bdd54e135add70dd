"""Set a device update's state, here and nowhere else, by the table of allowed moves.

- A device update moves forward only. Going back to `queued` always takes the next attempt.
- `dispatching` is stored before the method is sent. When the response is lost, the attempt is in
  doubt: it stays in `dispatching` until the twin, or the response to a repeat of the *same*
  attempt, shows whether the device started. A device ignores a repeat. A device that may not know
  repeats is never sent one; its twin is observed instead.
- A claim whose method was not sent is taken back: it was no attempt and leaves no history.
- Every change has a message, which the API shows.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from functions.rollouts.device import backoff, device_words
from functions.rollouts.device.deadlines import begin_wait, deadline
from functions.rollouts.device.moment import Moment
from functions.rollouts.model import texts
from functions.rollouts.model.allowed_moves import check_move
from functions.rollouts.model.device_state import (
    FIRMWARE_FAILURES,
    MOVES,
    DeviceState,
    ErrorCode,
    SkipReason,
)
from functions.rollouts.model.device_update import DeviceUpdate, HistoryEntry
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.strategy import RetryOn

MAX_HISTORY_ENTRIES = 30
_SHOWS_ACCEPTANCE = frozenset(
    state for state in DeviceState if DeviceState.ACCEPTED.rank <= state.rank
) - {DeviceState.FAILED, DeviceState.CANCELLED, DeviceState.SKIPPED}
# Until the first observation of a failed update for a late success.
MIN_LATE_INTERVAL = timedelta(seconds=5)


def move(
    moment: Moment,
    update: DeviceUpdate,
    state: DeviceState,
    message: str,
    *,
    reported_at: datetime | None = None,
    **changes: Any,
) -> DeviceUpdate:
    """Move an update to another state now, with a line of its history. Clear `in_doubt` and times.

    `reported_at` is the hub's time of the report of that state, for the line; None: no report.
    Raises IllegalMoveError for a move that is not in MOVES.
    """
    check_move(MOVES, update.state, state)
    at = _no_earlier_than_history(update, reported_at or moment.now)
    line = HistoryEntry(state, changes.get("attempt", update.attempt), at, message)
    known: dict[str, Any] = {
        "state": state,
        "history": _add_lines(update, (line,)),
        "updated_at": moment.now,
        "explanation": message,
        "in_doubt": False,
        "not_before": None,
        "observe_at": None,
        "missing_since": None,
        "dark_since": None,
        **changes,
    }
    if state in _SHOWS_ACCEPTANCE:
        known["has_accepted"] = True
    return update._replace(**known)


def move_along(update: DeviceUpdate, lines: Sequence[HistoryEntry], **changes: Any) -> DeviceUpdate:
    """Move an update through the states of `lines`, and add these to its history.

    Raises IllegalMoveError.
    """
    state = update.state
    for line in lines:
        check_move(MOVES, state, line.state)
        state = line.state
    if state in _SHOWS_ACCEPTANCE:
        changes["has_accepted"] = True
    return update._replace(state=state, history=_add_lines(update, lines), **changes)


def _add_lines(update: DeviceUpdate, lines: Sequence[HistoryEntry]) -> tuple[HistoryEntry, ...]:
    """Return the history with `lines`: the latest `MAX_HISTORY_ENTRIES`."""
    return (*update.history, *lines)[-MAX_HISTORY_ENTRIES:]


def _no_earlier_than_history(update: DeviceUpdate, at: datetime) -> datetime:
    """Return `at`, or the time of the history's last line if that is later.

    A stage that a device reported has the hub's time, the rest this app's.
    """
    return max(at, update.history[-1].at)


def fail(moment: Moment, update: DeviceUpdate, code: ErrorCode, message: str) -> DeviceUpdate:
    """End an update as failed. Its device is observed further if it may still complete."""
    error = Reason(code=code.value, message=message)
    observe_at = moment.now + MIN_LATE_INTERVAL if _may_complete(update, code) else None
    ended: dict[str, Any] = {"error": error, "ended_at": moment.now, "observe_at": observe_at}
    if code in FIRMWARE_FAILURES:
        ended["has_accepted"] = True
    return move(moment, update, DeviceState.FAILED, message, **ended)


def _may_complete(update: DeviceUpdate, code: ErrorCode) -> bool:
    """Return whether the device of a failed update may be at work on it, or report late."""
    if code is ErrorCode.UNREACHABLE:
        return update.in_doubt or (update.attempts_used > 0 and update.dispatched_at is not None)
    return code in {ErrorCode.TIMED_OUT, ErrorCode.WENT_DARK, ErrorCode.WRONG_VERSION}


def skip(moment: Moment, update: DeviceUpdate, reason: SkipReason, message: str) -> DeviceUpdate:
    """Leave a device out of the rollout. It counts in no gate and no share."""
    return move(
        moment, update, DeviceState.SKIPPED, message, skip_reason=reason, ended_at=moment.now
    )


def next_attempt(
    moment: Moment, update: DeviceUpdate, message: str, not_before: datetime | None, **changes: Any
) -> DeviceUpdate:
    """Queue an update again, with the next attempt."""
    known: dict[str, Any] = {
        "attempt": update.attempt + 1,
        "not_before": not_before,
        "accepted_at": None,
        "progress_percent": None,
    }
    return move(moment, update, DeviceState.QUEUED, message, **(known | changes))


def take_back(moment: Moment, update: DeviceUpdate, before: DeviceUpdate) -> DeviceUpdate:
    """Take back a claim whose method was not sent: the update is what it was `before`.

    An update that has moved on since its claim stays as it is.
    """
    claimed = update.state is DeviceState.DISPATCHING and update.attempt == before.attempt
    if not claimed or update.in_doubt is not before.in_doubt:
        return update
    if before.state is not update.state:
        check_move(MOVES, update.state, before.state)
    return before._replace(updated_at=moment.now)


def retry_or_fail(
    moment: Moment, update: DeviceUpdate, code: ErrorCode, message: str, *, counted: bool = False
) -> DeviceUpdate:
    """End the attempt. Queue the next one if the strategy allows it, else fail.

    `counted` says that the attempt was counted as used when its response was lost.
    """
    retry = moment.strategy.retry
    used = update.attempts_used + (0 if counted else 1)
    if RetryOn(code.value) not in retry.on or used >= retry.attempts:
        return fail(moment, update, code, message)
    wait = backoff.delay(retry, used, moment.jitter())
    follows = f"{message} Attempt {used + 1} of {retry.attempts} follows in {texts.duration(wait)}."
    known: dict[str, Any] = {"attempts_used": used, "delays": 0, "waiting_since": None}
    return next_attempt(moment, update, follows, moment.now + wait, **known)


def wait_longer(moment: Moment, update: DeviceUpdate, message: str) -> DeviceUpdate:
    """Leave an update for later, longer each time, without a line in its history."""
    wait = backoff.delay(moment.strategy.retry, update.delays + 1, moment.jitter())
    update = begin_wait(moment, update)
    return update._replace(
        delays=update.delays + 1,
        not_before=min(moment.now + wait, deadline(moment, update)),
        updated_at=moment.now,
        explanation=message,
    )


def give_up_if_due(moment: Moment, update: DeviceUpdate, last: str) -> DeviceUpdate | None:
    """End an update whose device was waited for until its deadline; None if it was not.

    A device that only deferred the update has not failed, unless something went wrong before.
    `last` is the latest response or obstacle, for the message.
    """
    if update.waiting_since is None or deadline(moment, update) > moment.now:
        return None
    patience = texts.duration(moment.strategy.offline.deadline)
    if _defers(update) and update.attempts_used == 0:
        message = f"Skipped: the device deferred the update for {patience}. Last response: {last}"
        return skip(moment, update, SkipReason.DEFERRED, message)
    message = f"Not reached within {patience}. Last: {last}"
    return fail(moment, update, ErrorCode.UNREACHABLE, message)


def _defers(update: DeviceUpdate) -> bool:
    if update.offline or update.method is None:
        return False
    return device_words.describe_deferral(update.method) is not None
