"""Say what the use cases need of a queue."""

from dataclasses import dataclass
from typing import Protocol

from functions.rollouts.model.device_set import DeviceSet


@dataclass(frozen=True, slots=True)
class Batch:
    """The devices of one lease of a rollout."""

    rollout_id: str
    lease: int  # the lease's number
    block: int  # the block's number
    devices: DeviceSet


class DispatchQueue(Protocol):
    """Queue batches. A batch may arrive late, more than once, or never."""

    def put(self, batch: Batch, delay_seconds: float, /) -> None:
        """Make the batch visible after a delay. Raises StorageUnavailableError."""

    def ping(self) -> None:
        """Make one cheap call; return if the service responds. Raises StorageUnavailableError."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A rollout that may have events which a webhook has not received."""

    rollout_id: str
    webhook: str  # its name


class DeliveryQueue(Protocol):
    """Queue deliveries. A delivery may arrive late, more than once, or never."""

    def put(self, delivery: Delivery, delay_seconds: float, /) -> None:
        """Make the delivery visible after a delay. Raises StorageUnavailableError."""
