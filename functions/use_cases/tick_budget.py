"""What one tick may spend of the hub's quotas: taken from the stored budget, the rest put back."""

from dataclasses import dataclass, replace

from functions.rollouts.model.quotas import MESSAGES_PER_UPDATE, Budget, Quotas
from functions.rollouts.rollout.pacing import SAVED_SECONDS

# Twins of a hundred devices are about 25 messages of 4 KB.
_ROWS_PER_MESSAGE = 4
# Twins read one by one before the methods, and so as fresh as can be; more are queried.
MAX_SINGLE_READS = 10


@dataclass(slots=True)
class TickBudget:
    """What is left for this tick. Levels may fall below zero: what must be done is done."""

    starts: float  # devices
    twin_reads: float
    queries: float
    messages_left: float  # of the day

    @classmethod
    def of(cls, budget: Budget, limits: Quotas) -> "TickBudget":
        """Return the whole stored budget."""
        left = limits.messages_a_day * limits.share - budget.messages_spent
        starts = min(budget.starts, left / MESSAGES_PER_UPDATE)
        return cls(starts, budget.twin_reads, budget.queries, left)

    def take_part(self, share: float) -> "TickBudget":
        """Take a share, 0..1, of what is left; the caller gives back what it does not spend."""
        part = TickBudget(
            self.starts * share, self.twin_reads * share, self.queries * share, self.messages_left
        )
        self.starts -= part.starts
        self.twin_reads -= part.twin_reads
        self.queries -= part.queries
        return part

    def give_back(self, part: "TickBudget") -> None:
        """Put back what is left of a part."""
        self.starts += part.starts
        self.twin_reads += part.twin_reads
        self.queries += part.queries
        self.messages_left = part.messages_left

    def take_reads(self, wanted: int) -> int:
        """Take at most `wanted` single twin reads. Return how many there are."""
        taken = max(0, min(wanted, int(self.twin_reads)))
        self.twin_reads -= taken
        self.messages_left -= taken
        return taken

    def take_query(self, rows: int) -> bool:
        """Take a query of `rows` rows. Return whether one was left."""
        if self.queries < 1:
            return False
        self.queries -= 1
        self.messages_left -= max(1, rows // _ROWS_PER_MESSAGE)
        return True

    def spend_batch(self, devices: int) -> None:
        """Spend the methods of a batch of `devices` devices, and the twins read before them."""
        self.starts -= devices
        self.messages_left -= devices * MESSAGES_PER_UPDATE
        if devices <= MAX_SINGLE_READS:
            self.twin_reads -= devices
        else:
            self.queries -= 1

    def left(self, budget: Budget, limits: Quotas) -> Budget:
        """Return the budget to be stored again."""
        spent = limits.messages_a_day * limits.share - self.messages_left
        return replace(
            budget,
            starts=self.starts,
            twin_reads=self.twin_reads,
            queries=self.queries,
            messages_spent=spent,
        )


def can_save_batch(budget: Budget, limits: Quotas, batch: int) -> bool:
    """Return whether a whole batch can be saved up for, so that none need be cut."""
    return limits.starts * budget.factor * SAVED_SECONDS / limits.scale >= batch
