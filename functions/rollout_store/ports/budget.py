"""The port for what is left of the hub's quotas."""

from typing import Protocol

from functions.rollout_store.ports.records import Stored
from functions.rollouts.model.quotas import Budget


class BudgetStore(Protocol):
    """Store the one budget that all ticks share."""

    def get(self) -> Stored[Budget] | None:
        """Read the budget, or return None before the first tick."""

    def save(self, budget: Budget, version: str | None) -> str:
        """Replace the budget that has `version`; with None, create it. Return the new version.

        Raises LostRaceError if the budget has another version, or exists already.
        """
