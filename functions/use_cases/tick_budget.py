"""Count what one tick spends of the stored budget; the rest is stored again."""

from dataclasses import dataclass, replace

from functions.rollouts.model.quotas import MESSAGES_PER_UPDATE, Budget, Quotas
from functions.rollouts.rollout.pacing import SAVED_SECONDS

# A query's page of 100 twins has about 25 messages of 4 KB.
_ROWS_PER_MESSAGE = 4
# Up to this many devices, twins are read one by one before the methods, to be as new as possible.
MAX_SINGLE_READS = 10


@dataclass(slots=True)
class TickBudget:
    """What a tick, or one rollout in it, may still spend.

    A level may fall below zero: work that cannot wait is done.
    """

    starts: float  # devices to start
    twin_reads: float  # single reads of twins
    queries: float  # pages of query results
    messages_left: float  # messages of the hub's daily quota

    @classmethod
    def from_stored(cls, budget: Budget, limits: Quotas) -> "TickBudget":
        """Return what a tick may spend of the stored budget."""
        left = limits.messages_a_day * limits.share - budget.messages_spent
        starts = min(budget.starts, left / MESSAGES_PER_UPDATE)
        return cls(starts, budget.twin_reads, budget.queries, left)

    def take_share(self, share: float) -> "TickBudget":
        """Take `share`, 0..1, of what is left. The caller gives back what remains of it."""
        taken = TickBudget(
            self.starts * share, self.twin_reads * share, self.queries * share, self.messages_left
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

    def take_reads(self, wanted: int) -> int:
        """Take at most `wanted` single twin reads. Return how many were taken."""
        taken = max(0, min(wanted, int(self.twin_reads)))
        self.twin_reads -= taken
        self.messages_left -= taken
        return taken

    def take_query(self, rows: int) -> bool:
        """Take one query with `rows` rows. Return False if no query is left."""
        if self.queries < 1:
            return False
        self.queries -= 1
        self.messages_left -= max(1, rows // _ROWS_PER_MESSAGE)
        return True

    def deduct_batch(self, devices: int, *, single: bool = False) -> None:
        """Deduct the methods of a leased batch of `devices` devices, and their twin reads.

        With `single`, the twins of any batch are read one by one.
        """
        self.starts -= devices
        self.messages_left -= devices * MESSAGES_PER_UPDATE
        if single or devices <= MAX_SINGLE_READS:
            self.twin_reads -= devices
        else:
            self.queries -= 1

    def to_stored(self, before: Budget, limits: Quotas) -> Budget:
        """Return the budget `before` with what is left now."""
        spent = limits.messages_a_day * limits.share - self.messages_left
        return replace(
            before,
            starts=self.starts,
            twin_reads=self.twin_reads,
            queries=self.queries,
            messages_spent=spent,
        )


def can_save_batch(budget: Budget, limits: Quotas, batch: int) -> bool:
    """Return whether the starts of a whole batch can be saved up, so that no batch is cut."""
    return limits.starts * budget.factor * SAVED_SECONDS / limits.scale >= batch
