"""What one tick may spend of the hub's quotas: taken from the shared record, the rest put back."""

from dataclasses import dataclass, replace

from functions.rollouts.model.quotas import MESSAGES_PER_UPDATE, Budget, Quotas
from functions.rollouts.rollout.pacing import SAVED_SECONDS

# Twins of a hundred devices are about 25 messages of 4 KB.
_ROWS_PER_MESSAGE = 4
# Up to so many twins are read one by one before the methods, and so are as fresh as can be.
MAX_SINGLE_READS = 10


@dataclass(slots=True)
class TickBudget:
    """Changes as it is spent. Levels may fall below zero: what must be done is done."""

    starts: float
    twin_reads: float
    queries: float
    messages_left: float

    @classmethod
    def of(cls, pace: Budget, limits: Quotas) -> "TickBudget":
        left = limits.messages_a_day * limits.share - pace.messages_spent
        starts = min(pace.starts, left / MESSAGES_PER_UPDATE)
        return cls(starts, pace.twin_reads, pace.queries, left)

    def part(self, share: float) -> "TickBudget":
        """A share, 0..1, of what is left; to be given back with `give_back`."""
        part = TickBudget(
            self.starts * share, self.twin_reads * share, self.queries * share, self.messages_left
        )
        self.starts -= part.starts
        self.twin_reads -= part.twin_reads
        self.queries -= part.queries
        return part

    def give_back(self, part: "TickBudget") -> None:
        self.starts += part.starts
        self.twin_reads += part.twin_reads
        self.queries += part.queries
        self.messages_left = part.messages_left

    def reads(self, wanted: int) -> int:
        """Take single twin reads; gives how many there are for."""
        taken = max(0, min(wanted, int(self.twin_reads)))
        self.twin_reads -= taken
        self.messages_left -= taken
        return taken

    def query(self, rows: int) -> bool:
        """Take a query with so many rows, if there is one left."""
        if self.queries < 1:
            return False
        self.queries -= 1
        self.messages_left -= max(1, rows // _ROWS_PER_MESSAGE)
        return True

    def started(self, devices: int) -> None:
        """A batch of so many devices was handed out: its methods, and the twins before them."""
        self.starts -= devices
        self.messages_left -= devices * MESSAGES_PER_UPDATE
        if devices <= MAX_SINGLE_READS:
            self.twin_reads -= devices
        else:
            self.queries -= 1

    def left(self, pace: Budget, limits: Quotas) -> Budget:
        """What is put back into the shared record."""
        spent = limits.messages_a_day * limits.share - self.messages_left
        return replace(
            pace,
            starts=self.starts,
            twin_reads=self.twin_reads,
            queries=self.queries,
            messages_spent=spent,
        )


def saves_batches(pace: Budget, limits: Quotas, batch: int) -> bool:
    """Whether a whole batch can be saved up for, so that none need be cut."""
    return limits.starts * pace.factor * SAVED_SECONDS / limits.scale >= batch
