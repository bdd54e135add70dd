"""Summarize a fleet in one line."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from device_agent.update import UNDER_WAY, FirmwareStatus
from simulator.simulated_fleet.device import SimulatedDevice


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The devices, counted by their last report; the rest stand by or are not connected yet."""

    devices: int
    """All devices."""
    connected: int
    """Devices with an open connection."""
    updating: int
    """Devices that download or apply an update."""
    completed: int
    """Devices that have completed their update."""
    failed: int
    """Devices whose update failed."""
    reverted: int
    """Devices that run the old version again."""
    connects: int
    """Connections accepted so far."""
    trouble: str | None
    """Why a connection failed since the last tally; None if none failed."""

    @classmethod
    def of(
        cls,
        devices: Iterable[SimulatedDevice],
        *,
        connected: int,
        connects: int,
        trouble: str | None,
    ) -> Self:
        """Count the devices."""
        statuses: Counter[FirmwareStatus | None] = Counter()
        reverted = 0
        for device in devices:
            statuses[device.status] += 1
            reverted += device.reverted
        return cls(
            devices=statuses.total(),
            connected=connected,
            updating=sum(statuses[status] for status in UNDER_WAY),
            completed=statuses[FirmwareStatus.COMPLETED],
            failed=statuses[FirmwareStatus.FAILED],
            reverted=reverted,
            connects=connects,
            trouble=trouble,
        )

    def __str__(self) -> str:
        """Return the line that is printed every few seconds."""
        text = (
            f"connected {self.connected}/{self.devices}, updating {self.updating}, "
            f"completed {self.completed}, failed {self.failed}"
        )
        if self.reverted:
            text += f", reverted {self.reverted}"
        return f"{text}; trouble: {self.trouble}" if self.trouble else text
