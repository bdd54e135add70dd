"""How a device update's record is changed: every move goes through here, and says why.

- A device update moves forward only; going back to `queued` always takes the next attempt.
- `dispatching` is stored before the method is sent. When the answer is lost, the attempt is in
  doubt: it stays in `dispatching` until the twin, or the answer to a repeat of the *same*
  attempt, settles it; a device ignores a repeat. A device that may not know repeats is never
  sent one: its twin is watched instead.
- Every change says why, in the words that the API shows.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from functions.rollouts.device import backoff, device_words
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.allowed_moves import check_move
from functions.rollouts.model.device_state import MOVES, DeviceState, ErrorCode
from functions.rollouts.model.device_update import DeviceUpdate, HistoryEntry
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.strategy import RetryOn

MAX_HISTORY_ENTRIES = 30
# Less than the default schedule's interval, or a look would fall right behind a tick.
LOOK_AGAIN_AT_LEAST = timedelta(seconds=5)
# A look without news is followed by another when so much of the time so far has passed again.
LOOK_AGAIN_SHARE = 0.25


def next_look(moment: Moment, asked_at: datetime | None) -> datetime:
    """When a device that was asked at `asked_at` is worth a look: when it may have news."""
    if not moment.crowded or asked_at is None:
        return moment.now
    elapsed = moment.now - asked_at
    if moment.usual is not None and elapsed < moment.usual:
        return asked_at + moment.usual
    return moment.now + max(LOOK_AGAIN_AT_LEAST, elapsed * LOOK_AGAIN_SHARE)


def move(
    moment: Moment, update: DeviceUpdate, state: DeviceState, message: str, **changes: Any
) -> DeviceUpdate:
    """Move an update to another state now, with a line of its history. Settles what was in doubt.

    Raises IllegalMoveError for a move that is not in MOVES.
    """
    line = HistoryEntry(
        state, changes.get("attempt", update.attempt), _not_before(update, moment.now), message
    )
    moved = move_along(update, (line,))
    known: dict[str, Any] = {
        "updated_at": moment.now,
        "explanation": message,
        "in_doubt": False,
        "not_before": None,
        "observe_at": None,
    }
    return moved._replace(**(known | changes))


def move_along(update: DeviceUpdate, lines: Sequence[HistoryEntry]) -> DeviceUpdate:
    """Move an update through the states of `lines`, and add these to its history.

    Only the latest lines are kept. Raises IllegalMoveError.
    """
    state = update.state
    for line in lines:
        check_move(MOVES, state, line.state)
        state = line.state
    history = (*update.history, *lines)[-MAX_HISTORY_ENTRIES:]
    return update._replace(state=state, history=history)


def _not_before(update: DeviceUpdate, now: datetime) -> datetime:
    # A device's stage has the hub's time, the rest this app's: no clock runs backwards here.
    return max(now, update.history[-1].at) if update.history else now


def fail(moment: Moment, update: DeviceUpdate, code: ErrorCode, message: str) -> DeviceUpdate:
    error = Reason(code=code.value, message=message)
    return move(moment, update, DeviceState.FAILED, message, error=error, ended_at=moment.now)


def next_attempt(
    moment: Moment, update: DeviceUpdate, message: str, not_before: datetime | None, **changes: Any
) -> DeviceUpdate:
    return move(
        moment,
        update,
        DeviceState.QUEUED,
        message,
        **{
            "attempt": update.attempt + 1,
            "not_before": not_before,
            "accepted_at": None,
            "progress_percent": None,
            **changes,
        },
    )


def retry_or_fail(
    moment: Moment, update: DeviceUpdate, code: ErrorCode, message: str, *, counted: bool = False
) -> DeviceUpdate:
    """The attempt is over; another follows if the strategy allows it.

    `counted` says that the try behind it was counted before, when its answer was lost.
    """
    retry = moment.strategy.retry
    tries = update.attempts_used + (0 if counted else 1)
    if RetryOn(code.value) not in retry.on or tries >= retry.attempts:
        return fail(moment, update, code, message)
    wait = backoff.delay(retry, tries, moment.jitter())
    follows = f"{message} Try {tries + 1} of {retry.attempts} follows in {seconds(wait)}."
    return next_attempt(moment, update, follows, moment.now + wait, attempts_used=tries, delays=0)


def wait_longer(moment: Moment, update: DeviceUpdate, message: str) -> DeviceUpdate:
    """Leave the update for later, longer from time to time, without a line in its history."""
    wait = backoff.delay(moment.strategy.retry, update.delays + 1, moment.jitter())
    return update._replace(
        delays=update.delays + 1,
        waiting_since=update.waiting_since or moment.now,
        not_before=min(moment.now + wait, deadline(moment, update)),
        updated_at=moment.now,
        explanation=message,
    )


def give_up_if_due(moment: Moment, update: DeviceUpdate, last: str) -> DeviceUpdate | None:
    """The update, ended, if its device has been waited for until the deadline.

    A device that only put it off has not failed, unless something had gone wrong before.
    """
    if update.waiting_since is None or deadline(moment, update) > moment.now:
        return None
    if _puts_off(update) and update.attempts_used == 0:
        message = f"Skipped: put off for {moment.strategy.offline.deadline}. Last: {last}"
        return move(moment, update, DeviceState.SKIPPED, message, ended_at=moment.now)
    message = f"Not reached within {moment.strategy.offline.deadline}. Last: {last}"
    return fail(moment, update, ErrorCode.UNREACHABLE, message)


def _puts_off(update: DeviceUpdate) -> bool:
    answered = update.method
    return not update.offline and answered is not None and bool(device_words.deferral(answered))


def deadline(moment: Moment, update: DeviceUpdate) -> datetime:
    """Until when a device that waits is waited for."""
    return (update.waiting_since or moment.now) + moment.strategy.offline.deadline


def seconds(wait: timedelta) -> str:
    return f"{wait.total_seconds():.0f} s"


def clock(time: datetime) -> str:
    """A moment as messages show it."""
    return f"{time:%Y-%m-%d %H:%M} UTC"
