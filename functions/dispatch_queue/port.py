"""Say what the use cases need of a queue."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Batch:
    """The devices of one lease of a rollout."""

    rollout_id: str
    lease: int  # the lease's number
    block: int  # the block's number
    devices: int  # a bit mask of indexes inside the block


class DispatchQueue(Protocol):
    """Queue batches. A batch may arrive late, more than once, or never."""

    def put(self, batch: Batch, delay_seconds: float) -> None:
        """Make the batch visible after a delay. Raises StorageUnavailableError."""
