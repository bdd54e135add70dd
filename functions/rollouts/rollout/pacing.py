"""How fast the hub's quotas let rollouts go: quotas by tier, and what is left of them.

Source of the quotas: Microsoft Learn, "IoT Hub quotas and throttling", sections "Operation
throttles" and "Quotas and throttling". The timer spends them, so one record shared by all open
rollouts is limiter enough for any number of function instances. What the request that creates a
rollout spends ahead is noted with it, and taken off that record by the timer; a plan's queries
are few, and not counted.
"""

from dataclasses import replace
from datetime import datetime

from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.quotas import MESSAGES_PER_UPDATE, Budget, Quotas
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout, RolloutStatus

# Tokens saved up while nothing was going on, and there at the very beginning: as much as the
# longest pause between two ticks.
SAVED_SECONDS = 15.0
# Adaptation: half the speed when the hub refuses or is slow, back by a tenth each quiet tick.
SLOWER, FASTER, SLOWEST = 0.5, 0.1, 0.05
# Mean seconds of a method call from which the hub's queue counts as filling: a call that is not
# shaped takes a fraction of one, even through a slow link to the device.
SLOW_SECONDS = 5.0


def refill(pace: Budget | None, limits: Quotas, now: datetime) -> Budget:
    """What may be spent at `now`: what was left, and what the time since has added."""
    if pace is None:
        return _filled(Budget(at=now), limits, SAVED_SECONDS / limits.scale)
    seconds = max(0.0, (now - pace.at).total_seconds())
    same_day = now.date() == pace.at.date()
    spent = pace.messages_spent if same_day else 0.0
    return _filled(replace(pace, at=now, messages_spent=spent), limits, seconds)


def _filled(pace: Budget, limits: Quotas, seconds: float) -> Budget:
    def level(left: float, rate: float) -> float:
        return min(left + rate * seconds, max(rate * SAVED_SECONDS / limits.scale, 1.0))

    return replace(
        pace,
        starts=level(pace.starts, limits.starts * pace.factor),
        twin_reads=level(pace.twin_reads, limits.twin_reads * limits.share * pace.factor),
        queries=level(pace.queries, limits.queries * limits.share * pace.factor),
    )


def empty(pace: Budget) -> Budget:
    """Everything taken: what another timer finds that comes at the same moment."""
    return replace(
        pace,
        starts=min(0.0, pace.starts),
        twin_reads=min(0.0, pace.twin_reads),
        queries=min(0.0, pace.queries),
    )


def with_quota_reason(rollout: Rollout, messages_left: float) -> Rollout:
    """Saying that the hub's messages of the day are used up, as long as they are."""
    used_up = messages_left < MESSAGES_PER_UPDATE
    code = rollout.status_reason.code if rollout.status_reason else None
    if rollout.status is RolloutStatus.RUNNING and used_up and code is None:
        message = "The hub's messages of this day are used up; more start at midnight UTC."
        return replace(rollout, status_reason=Reason(code="dailyQuota", message=message))
    return replace(rollout, status_reason=None) if code == "dailyQuota" and not used_up else rollout


def adapt(pace: Budget, seen: HubLoad) -> Budget:
    """Slow down when the hub refuses or its queue fills; otherwise come back step by step."""
    if seen.throttled or seen.seconds > SLOW_SECONDS:
        return replace(pace, factor=max(SLOWEST, pace.factor * SLOWER))
    if not seen.methods:
        return pace
    return replace(pace, factor=min(1.0, pace.factor + FASTER))
