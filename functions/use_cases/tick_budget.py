"""Count what one tick spends of the stored budget; the rest is stored again."""

from dataclasses import dataclass, replace
from datetime import datetime

from functions.rollouts.model.quotas import Budget, Quotas
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.usage import DEFAULT_COSTS, MessageCosts, Usage
from functions.rollouts.rollout import daily_quota
from functions.rollouts.rollout.daily_quota import DayLeft
from functions.rollouts.rollout.pacing import SAVED_SECONDS

# Rows of a query that have ids and a few values alone, in one message of 4 KB.
_ROWS_PER_MESSAGE = 40
# Up to this many devices, twins are read one by one before the methods, to be as new as possible.
MAX_SINGLE_READS = 10


@dataclass(slots=True)
class TickBudget:
    """What a tick, or one rollout in it, may still spend.

    A level may fall below zero: work that cannot wait is done. The messages are expected ones; what
    was really used is stored at the end of the tick.
    """

    starts: float  # devices to start
    twin_reads: float  # single reads of twins
    queries: float  # pages of query results
    messages_left: float  # messages of the day's share
    reserved: float = 0.0  # of these, for devices under way
    costs: MessageCosts = DEFAULT_COSTS
    refused_until: datetime | None = None  # the hub's day is used up; None: it is not
    needed: float = 0.0  # messages that devices will need which are under way after this tick

    @classmethod
    def from_stored(cls, budget: Budget, limits: Quotas) -> "TickBudget":
        """Return what a tick may spend of the stored budget."""
        left = limits.daily_messages - budget.messages_spent
        if budget.refused_until is not None:
            left = min(left, 0.0)
        return cls(
            budget.starts,
            budget.twin_reads,
            budget.queries,
            left,
            budget.reserved,
            budget.costs,
            budget.refused_until,
        )

    @property
    def day(self) -> DayLeft:
        """Return what is left of the day's messages."""
        return DayLeft(
            left=self.messages_left,
            reserved=self.reserved,
            refused_until=self.refused_until,
            costs=self.costs,
        )

    def take_share(self, share: float) -> "TickBudget":
        """Take `share`, 0..1, of what is left. The caller gives back what remains of it."""
        taken = replace(
            self,
            starts=self.starts * share,
            twin_reads=self.twin_reads * share,
            queries=self.queries * share,
        )
        self.starts -= taken.starts
        self.twin_reads -= taken.twin_reads
        self.queries -= taken.queries
        return taken

    def give_back(self, share: "TickBudget") -> None:
        """Add what remains of a taken share."""
        self.starts += share.starts
        self.twin_reads += share.twin_reads
        self.queries += share.queries
        self.messages_left = share.messages_left
        self.reserved = share.reserved
        self.needed = share.needed

    def max_starts(self, rollout: Rollout) -> float:
        """Return how many devices of the rollout may start, by the rates and the day's messages."""
        by_messages = max(0.0, self.day.free) / daily_quota.update_cost(rollout, self.costs)
        return min(self.starts, by_messages)

    def may_observe(self, *, under_way: bool) -> bool:
        """Return whether messages are left to observe a device; they are reserved if under way."""
        return (self.messages_left if under_way else self.day.free) > 0

    def take_reads(self, wanted: int) -> int:
        """Take at most `wanted` single twin reads. Return how many were taken."""
        affordable = min(self.twin_reads, self.messages_left / self.costs.twin)
        taken = max(0, min(wanted, int(affordable)))
        self.twin_reads -= taken
        self.messages_left -= taken * self.costs.twin
        return taken

    def take_query(self, rows: int, *, twins: int = 0) -> bool:
        """Take one query with `rows` rows of a few values, or `twins` whole ones, for later starts.

        Return False if no query is left, or no message that is not reserved.
        """
        has_messages = self.may_observe(under_way=twins > 0)
        if self.queries < 1 or not has_messages:
            return False
        self.queries -= 1
        self.messages_left -= max(1.0, rows / _ROWS_PER_MESSAGE, twins * self.costs.twin)
        return True

    def deduct_batch(self, rollout: Rollout, devices: int, *, single: bool = False) -> None:
        """Deduct the methods of a leased batch of `devices` devices, and their twin reads.

        With `single`, the twins of any batch are read one by one.
        """
        self.starts -= devices
        self.reserved += devices * daily_quota.update_cost(rollout, self.costs)
        if single or devices <= MAX_SINGLE_READS:
            self.twin_reads -= devices
        else:
            self.queries -= 1

    def to_stored(self, before: Budget, limits: Quotas, usage: Usage, now: datetime) -> Budget:
        """Return the budget `before` with what is left now.

        `usage` is what calls have used since the last tick.
        """
        after = replace(
            before,
            starts=self.starts,
            twin_reads=self.twin_reads,
            queries=self.queries - usage.extra_pages,
            messages_spent=before.messages_spent + usage.messages,
            reserved=self.needed,
            costs=before.costs.learn(usage),
        )
        return daily_quota.record_refusal(after, usage, limits, now)


def can_save_batch(budget: Budget, limits: Quotas, batch: int) -> bool:
    """Return whether the starts of a whole batch can be saved up, so that no batch is cut."""
    return limits.starts * budget.factor * SAVED_SECONDS / limits.scale >= batch
