"""Count the time in which a rollout's devices could start: running, not frozen, in its window.

The offline deadline is measured by this clock. Nights, weekends, pauses, freezes and outages, in
which the rollout would not have invoked the device, do not use it up.
"""

from datetime import datetime, timedelta

from functions.rollouts.model.rollout import Rollout, RolloutStatus, StartClock
from functions.rollouts.rollout import window


def advance(rollout: Rollout, now: datetime) -> StartClock:
    """Return the rollout's clock at `now`; it is as stored since the clock's time."""
    clock = rollout.start_clock
    since = clock.at or rollout.started_at
    if since is None or now <= since:
        return clock
    return StartClock(counted=clock.counted + _passed(rollout, since, now), at=now)


def _passed(rollout: Rollout, since: datetime, now: datetime) -> timedelta:
    is_waiting = any(outage.until is None for outage in rollout.outages)
    if rollout.status is RolloutStatus.PAUSED or is_waiting:
        return timedelta()
    freeze = rollout.freeze
    if freeze is not None and freeze.freezes_all(since):
        since = min(now, freeze.until or now)
    limits = rollout.strategy.window
    if rollout.status is not RolloutStatus.RUNNING:
        # Nothing starts any more. Devices whose response was lost are observed until the deadline.
        limits = None
    return now - since if limits is None else window.open_time(limits, since, now)
