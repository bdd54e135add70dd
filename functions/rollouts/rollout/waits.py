"""Say what a running rollout waits for while nothing is wrong and no operator needs to act.

Every other reason takes precedence.
"""

from dataclasses import replace
from datetime import datetime

from functions.rollouts.model import texts
from functions.rollouts.model.reason import WAITING_DEVICES, WAITS, WINDOW, Reason
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.rollout import frozen, window
from functions.rollouts.rollout.permission import OPEN


def clear(rollout: Rollout) -> Rollout:
    """Remove the reason that `show` set."""
    reason = rollout.status_reason
    if reason is None or reason.code not in WAITS:
        return rollout
    return replace(rollout, status_reason=None)


def show(rollout: Rollout, now: datetime) -> Rollout:
    """Set the reason of a running rollout that has no other one, if its devices wait."""
    if rollout.status is not RolloutStatus.RUNNING or rollout.status_reason is not None:
        return rollout
    reason = _find_reason(rollout, now)
    return rollout if reason is None else replace(rollout, status_reason=reason)


def _find_reason(rollout: Rollout, now: datetime) -> Reason | None:
    opened = [wave for wave in rollout.waves if wave.status in OPEN]
    waiting = sum(wave.counts.queued - frozen.count_frozen_queued(rollout, wave) for wave in opened)
    if not waiting:
        return None
    verb = "waits" if waiting == 1 else "wait"
    devices = f"{texts.count(waiting, 'device')} {verb}"
    limits = rollout.strategy.window
    if limits is not None and not window.is_open(limits, now):
        opens = texts.utc_time(window.next_opening(limits, now))
        message = f"{devices} for the maintenance window, which opens at {opens}."
        return Reason(code=WINDOW, message=message)
    if _has_work(rollout):
        return None
    message = (
        f"{devices}, and none is updating: a device is invoked again once it is connected, has"
        " finished another update, or its next attempt is due."
    )
    return Reason(code=WAITING_DEVICES, message=message)


def _has_work(rollout: Rollout) -> bool:
    """Return whether devices are in flight, or are to start with one of the next ticks."""
    counts, dispatch = rollout.counts, rollout.dispatch
    never_leased = any(wave.leased < wave.size for wave in rollout.waves if wave.status in OPEN)
    starts = dispatch.leases or dispatch.ready or dispatch.repeats or dispatch.freeze_matches
    found = rollout.retry or rollout.joining.found
    return bool(counts.updating or counts.soaking or never_leased or starts or found)
