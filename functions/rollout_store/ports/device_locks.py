"""The port for device locks: one rollout at a time for a device that cannot refuse a second."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from functions.rollout_store.ports.records import Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLock:
    """The rollout that a device is kept for."""

    rollout_id: str
    taken_at: datetime


class DeviceLockStore(Protocol):
    """Store the latest lock of each device. A lock is replaced, never deleted."""

    def get(self, device_id: str) -> Stored[DeviceLock] | None:
        """Read a device's latest lock, or return None if it never had one."""

    def add(self, device_id: str, lock: DeviceLock) -> Stored[DeviceLock]:
        """Store a device's first lock. Raises LostRaceError if it has one."""

    def save(self, device_id: str, lock: Stored[DeviceLock]) -> Stored[DeviceLock]:
        """Replace the lock that has `lock.version` by `lock.record`. Raises LostRaceError."""
