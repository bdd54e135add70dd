"""How fast rollouts may go: the stored budget is refilled, spent and adapted to the hub.

Only the timer spends the budget, so one stored record limits all open rollouts on any number of
function instances. What the request that creates a rollout spends is recorded in the rollout; the
timer deducts it later. The queries of plans are few and are not deducted from the rates; their
messages count.
"""

from dataclasses import replace
from datetime import datetime

from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.quotas import Budget, Quotas

# Seconds of quota that are saved up at most while nothing starts, and that the first tick has. No
# pause between two ticks is longer.
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
    begun = budget if now < limits.day_ends_at(budget.at) else replace(budget, messages_spent=0.0)
    if begun.refused_until is not None and not _is_refused(begun, limits, now):
        begun = replace(begun, refused_until=None, refused_of=0.0)
    return _refill_for(replace(begun, at=now), limits, seconds)


def _is_refused(budget: Budget, limits: Quotas, now: datetime) -> bool:
    """Return whether the hub's day is still used up. It is not once the hub got more units."""
    is_early = budget.refused_until is not None and now < budget.refused_until
    return is_early and budget.refused_of == limits.messages_a_day


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


def adapt(budget: Budget, load: HubLoad) -> Budget:
    """Slow down when the hub refuses or its queue fills; otherwise come back step by step."""
    if load.throttled or load.seconds > SLOW_SECONDS:
        return replace(budget, factor=max(SLOWEST, budget.factor * SLOWER))
    if not load.methods:
        return budget
    return replace(budget, factor=min(1.0, budget.factor + FASTER))
