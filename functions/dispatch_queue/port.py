"""What the use cases need of a queue, in this project's own words."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Batch:
    """One hand-out of a rollout: devices of one block, a bit for each place in it."""

    rollout_id: str
    lease: int
    block: int
    members: int


class DispatchQueue(Protocol):
    """Batches may arrive late, twice, or never."""

    def put(self, batch: Batch, delay_seconds: float) -> None:
        """Let the batch be taken after so many seconds. Raises StorageUnavailableError."""
