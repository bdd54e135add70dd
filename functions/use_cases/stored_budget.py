"""Take the stored budget for a tick, and store what is left of it.

The tick that takes the budget first spends it; another one finds nothing.
"""

import logging
from dataclasses import dataclass

from functions.errors import LostRaceError
from functions.rollouts.model.freeze import Freeze
from functions.rollouts.model.quotas import Budget
from functions.rollouts.rollout import pacing
from functions.use_cases import freeze
from functions.use_cases.services import Services

_log = logging.getLogger(__name__)

# Batches are spread over the time until the next tick, which is assumed to be the time since the
# previous tick; at most the interval of the default schedule.
MAX_SPREAD_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class TakenBudget:
    """What a tick took from the stored budget."""

    budget: Budget
    version: str  # of the stored budget, which is empty now
    spread_seconds: float  # the time until the next tick
    freeze: Freeze | None  # the latest, in force or not; read with the budget


def take_budget(services: Services) -> TakenBudget | None:
    """Take the whole stored budget. Return None if another tick was first."""
    controls, now = freeze.read_controls(services), services.clock()
    stored = controls.budget
    budget = pacing.refill(stored.record if stored else None, services.limits, now)
    since = (now - stored.record.at).total_seconds() if stored else MAX_SPREAD_SECONDS
    try:
        version = services.stores.budget.save(
            pacing.empty(budget), stored.version if stored else None
        )
    except LostRaceError:
        _log.info("another tick took the budget; this tick does nothing")
        return None
    return TakenBudget(budget, version, min(since, MAX_SPREAD_SECONDS), controls.freeze)


def store_budget(services: Services, budget: Budget, version: str) -> bool:
    """Store what is left of the budget. Return False if another tick has begun."""
    try:
        services.stores.budget.save(budget, version)
    except LostRaceError:
        _log.info("the next tick began before this one ended; the rest of its budget is dropped")
        return False
    return True
