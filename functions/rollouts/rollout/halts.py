"""List the times in which the hub, the network or the window kept a rollout from starting devices.

Pauses, approvals and freezes are not among them: the audit trail has those.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from functions.rollouts.model import texts
from functions.rollouts.model.halt import Halt
from functions.rollouts.model.outage import Outage
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import Window
from functions.rollouts.rollout import window

# Closed windows further back are not listed, so that a rollout of months costs no more.
WINDOWS_LISTED = timedelta(days=60)
_DAY = timedelta(days=1)


def list_halts(rollout: Rollout, at: datetime) -> Sequence[Halt]:
    """Return the rollout's halts until `at`, by their beginning, as they were known then.

    Closed windows follow the rollout's present window, also for times before it was changed.
    """
    until = min(at, rollout.ended_at or at)
    outages = [_halt_of(outage, at) for outage in rollout.outages if outage.since <= until]
    return sorted([*outages, *_list_closed_windows(rollout, until)], key=lambda halt: halt.since)


def _halt_of(outage: Outage, at: datetime) -> Halt:
    has_ended = outage.until is not None and outage.until <= at
    until = outage.until if has_ended else None
    return Halt(code=outage.code, message=outage.message, since=outage.since, until=until)


def _list_closed_windows(rollout: Rollout, until: datetime) -> Iterator[Halt]:
    limits, start = rollout.strategy.window, rollout.started_at
    if limits is None or start is None or until < start:
        return
    day_end = until.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
    for closes, opens in _closed_times(limits, max(start, day_end - WINDOWS_LISTED), day_end):
        if closes <= until:
            message = f"The maintenance window is closed until {texts.utc_time(opens)}."
            yield Halt(code="window", message=message, since=closes, until=opens)


@lru_cache(maxsize=64)
def _closed_times(
    limits: Window, begin: datetime, end: datetime
) -> Sequence[tuple[datetime, datetime]]:
    """Return when the window closes and opens again, from `begin` to `end`; kept for a day."""
    found, at = [], begin
    while at < end:
        if window.is_open(limits, at):
            closes = window.closes_at(limits, at)
            if closes is None:
                break
            at = closes
        else:
            opens = window.next_opening(limits, at)
            found.append((at, opens))
            at = opens
    return found
