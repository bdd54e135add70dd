"""How a device update's record is changed: every move goes through here, and says why.

- A device update moves forward only; going back to `queued` always takes the next attempt.
- `dispatching` is stored before the method is sent. When the answer is lost, the attempt is in
  doubt: it stays in `dispatching` until the twin, or the answer to a repeat of the *same*
  attempt, settles it; a device ignores a repeat. A device that may not know repeats is never
  sent one: its twin is watched instead.
- Every change says why, in the words that the API shows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from functions.rollouts.device import backoff, device_words
from functions.rollouts.model.device_update import (
    DeviceState,
    DeviceUpdate,
    ErrorCode,
    HistoryEntry,
    Reason,
)
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import RetryOn, Strategy

MAX_HISTORY_ENTRIES = 30
# So many devices under way are looked at in every tick; of more, each when it may have news.
FEW = 20
# From so many devices that have finished, the others' time is known well enough.
ENOUGH_FINISHED = 5
# Less than the default schedule's interval, or a look would fall right behind a tick.
LOOK_AGAIN_AT_LEAST = timedelta(seconds=5)
# A look without news is followed by another when so much of the time so far has passed again.
LOOK_AGAIN_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Moment:
    """One rollout at one moment; `jitter` gives numbers in 0..1 and is the only source of chance.

    `crowded` is whether too many devices are under way to look at each in every tick, `usual`
    how long a device usually takes from being asked to its last report, None if unknown.
    """

    rollout: Rollout
    now: datetime
    jitter: Callable[[], float]
    strategy: Strategy
    crowded: bool
    usual: timedelta | None


def moment(rollout: Rollout, now: datetime, jitter: Callable[[], float]) -> Moment:
    """What the rules need to know of this rollout now."""
    updating = sum(wave.counts.updating for wave in rollout.waves)
    known = rollout.finished >= ENOUGH_FINISHED
    usual = timedelta(seconds=rollout.finish_seconds / rollout.finished) if known else None
    return Moment(rollout, now, jitter, rollout.strategy, updating > FEW, usual)


def next_look(at: Moment, asked_at: datetime | None) -> datetime:
    """When a device that was asked at `asked_at` is worth a look: when it may have news."""
    if not at.crowded or asked_at is None:
        return at.now
    elapsed = at.now - asked_at
    if at.usual is not None and elapsed < at.usual:
        return asked_at + at.usual
    return at.now + max(LOOK_AGAIN_AT_LEAST, elapsed * LOOK_AGAIN_SHARE)


def step(
    at: Moment,
    update: DeviceUpdate,
    state: DeviceState,
    message: str,
    **changes: Any,
) -> DeviceUpdate:
    """The update in another state, with a line of its history. Settles what was in doubt."""
    line = HistoryEntry(
        state, changes.get("attempt", update.attempt), _not_before(update, at.now), message
    )
    known: dict[str, Any] = {
        "state": state,
        "updated_at": at.now,
        "explanation": message,
        "history": with_lines(update, (line,)),
        "in_doubt": False,
        "not_before": None,
        "observe_at": None,
    }
    return update._replace(**(known | changes))


def with_lines(update: DeviceUpdate, lines: tuple[HistoryEntry, ...]) -> tuple[HistoryEntry, ...]:
    """The latest lines of the history."""
    return (*update.history, *lines)[-MAX_HISTORY_ENTRIES:]


def _not_before(update: DeviceUpdate, now: datetime) -> datetime:
    # A device's stage has the hub's time, the rest this app's: no clock runs backwards here.
    return max(now, update.history[-1].at) if update.history else now


def failed(at: Moment, update: DeviceUpdate, code: ErrorCode, message: str) -> DeviceUpdate:
    error = Reason(code=code.value, message=message)
    return step(at, update, DeviceState.FAILED, message, error=error, ended_at=at.now)


def next_attempt(
    at: Moment, update: DeviceUpdate, message: str, not_before: datetime | None, **changes: Any
) -> DeviceUpdate:
    return step(
        at,
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
    at: Moment, update: DeviceUpdate, code: ErrorCode, message: str, *, counted: bool = False
) -> DeviceUpdate:
    """The attempt is over; another follows if the strategy allows it.

    `counted` says that the try behind it was counted before, when its answer was lost.
    """
    retry = at.strategy.retry
    tries = update.tries + (0 if counted else 1)
    if RetryOn(code.value) not in retry.on or tries >= retry.attempts:
        return failed(at, update, code, message)
    wait = backoff.delay(retry, tries, at.jitter())
    follows = f"{message} Try {tries + 1} of {retry.attempts} follows in {seconds(wait)}."
    return next_attempt(at, update, follows, at.now + wait, tries=tries, delays=0)


def wait_longer(at: Moment, update: DeviceUpdate, message: str) -> DeviceUpdate:
    """Leave the update for later, longer from time to time, without a line in its history."""
    wait = backoff.delay(at.strategy.retry, update.delays + 1, at.jitter())
    return update._replace(
        delays=update.delays + 1,
        waiting_since=update.waiting_since or at.now,
        not_before=min(at.now + wait, deadline(at, update)),
        updated_at=at.now,
        explanation=message,
    )


def given_up(at: Moment, update: DeviceUpdate, last: str) -> DeviceUpdate | None:
    """The update, ended, if its device has been waited for until the deadline.

    A device that only put it off has not failed, unless something had gone wrong before.
    """
    if update.waiting_since is None or deadline(at, update) > at.now:
        return None
    if _puts_off(update) and update.tries == 0:
        message = f"Skipped: put off for {at.strategy.offline.deadline}. Last: {last}"
        return step(at, update, DeviceState.SKIPPED, message, ended_at=at.now)
    message = f"Not reached within {at.strategy.offline.deadline}. Last: {last}"
    return failed(at, update, ErrorCode.UNREACHABLE, message)


def _puts_off(update: DeviceUpdate) -> bool:
    answered = update.method
    return not update.offline and answered is not None and bool(device_words.deferral(answered))


def deadline(at: Moment, update: DeviceUpdate) -> datetime:
    """Until when a device that waits is waited for."""
    return (update.waiting_since or at.now) + at.strategy.offline.deadline


def seconds(wait: timedelta) -> str:
    return f"{wait.total_seconds():.0f} s"


def clock(time: datetime) -> str:
    """A moment as messages show it."""
    return f"{time:%Y-%m-%d %H:%M} UTC"
