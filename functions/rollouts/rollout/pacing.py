"""How fast rollouts may go: the stored budget is refilled, spent and adapted to the hub.

Only the timer spends the budget, so one stored record limits all open rollouts on any number of
function instances. What the request that creates a rollout spends is recorded in the rollout; the
timer deducts it later. The queries of plans are few and are not counted.
"""

from dataclasses import replace
from datetime import datetime

from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.quotas import MESSAGES_PER_UPDATE, Budget, Quotas
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout, RolloutStatus

# Seconds of quota that are saved up while nothing happens, and are there at the very beginning: as
# long as the longest pause between two ticks.
SAVED_SECONDS = 15.0
# Adaptation: half the speed when the hub refuses or is slow, back by a tenth each quiet tick.
SLOWER, FASTER, SLOWEST = 0.5, 0.1, 0.05
# Mean seconds of a method call from which the hub's queue counts as filling: a call that is not
# shaped takes a fraction of one, even through a slow link to the device.
SLOW_SECONDS = 5.0


def refill(budget: Budget | None, limits: Quotas, now: datetime) -> Budget:
    """Return what may be spent at `now`: what was left, and what the time since has added."""
    if budget is None:
        return _refill_for(Budget(at=now), limits, SAVED_SECONDS / limits.scale)
    seconds = max(0.0, (now - budget.at).total_seconds())
    same_day = now.date() == budget.at.date()
    spent = budget.messages_spent if same_day else 0.0
    return _refill_for(replace(budget, at=now, messages_spent=spent), limits, seconds)


def _refill_for(budget: Budget, limits: Quotas, seconds: float) -> Budget:
    def level(left: float, rate: float) -> float:
        return min(left + rate * seconds, max(rate * SAVED_SECONDS / limits.scale, 1.0))

    return replace(
        budget,
        starts=level(budget.starts, limits.starts * budget.factor),
        twin_reads=level(budget.twin_reads, limits.twin_reads * limits.share * budget.factor),
        queries=level(budget.queries, limits.queries * limits.share * budget.factor),
    )


def empty(budget: Budget) -> Budget:
    """Return the budget with all of it taken, for another timer that ticks at the same time."""
    return replace(
        budget,
        starts=min(0.0, budget.starts),
        twin_reads=min(0.0, budget.twin_reads),
        queries=min(0.0, budget.queries),
    )


def with_quota_reason(rollout: Rollout, messages_left: float) -> Rollout:
    """Set the reason that the day's messages are used up, or take it away."""
    used_up = messages_left < MESSAGES_PER_UPDATE
    code = rollout.status_reason.code if rollout.status_reason else None
    if rollout.status is RolloutStatus.RUNNING and used_up and code is None:
        message = "The hub's daily message quota is used up; further devices start at midnight UTC."
        return replace(rollout, status_reason=Reason(code="dailyQuota", message=message))
    return replace(rollout, status_reason=None) if code == "dailyQuota" and not used_up else rollout


def adapt(budget: Budget, load: HubLoad) -> Budget:
    """Slow down when the hub refuses or its queue fills; otherwise come back step by step."""
    if load.throttled or load.seconds > SLOW_SECONDS:
        return replace(budget, factor=max(SLOWEST, budget.factor * SLOWER))
    if not load.methods:
        return budget
    return replace(budget, factor=min(1.0, budget.factor + FASTER))
