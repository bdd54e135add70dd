"""Metering: counters of operations, and the messages of the daily quota.

Counting is always on. Source of which operations count as messages: Microsoft Learn, "Azure IoT
Hub pricing" and "IoT Hub quotas and throttling", section "Quotas and throttling".
"""

from dataclasses import dataclass, field
from enum import StrEnum

KILOBYTE = 1024
METER_BYTES = 4 * KILOBYTE
"""A message is counted in blocks of this size; 0.5 KB on the free tier."""
DAY_SECONDS = 86_400


class Operation(StrEnum):
    """The classes of operations, for throttles, metrics and faults."""

    METHOD = "method"
    TWIN_READ = "twinRead"
    TWIN_UPDATE = "twinUpdate"
    DEVICE_TWIN_READ = "deviceTwinRead"
    DEVICE_TWIN_UPDATE = "deviceTwinUpdate"
    QUERY = "query"
    REGISTRY = "registry"
    JOB = "job"
    JOB_DEVICE = "jobDevice"
    """One device's part of a job."""
    CONFIGURATION = "configuration"
    CONNECT = "connect"
    TELEMETRY = "telemetry"
    CLOUD_TO_DEVICE = "cloudToDevice"


METERED = frozenset(
    {
        Operation.METHOD,
        Operation.TWIN_READ,
        Operation.TWIN_UPDATE,
        Operation.DEVICE_TWIN_READ,
        Operation.DEVICE_TWIN_UPDATE,
        Operation.QUERY,
        Operation.JOB_DEVICE,
        Operation.TELEMETRY,
        Operation.CLOUD_TO_DEVICE,
    }
)
"""Operations that count as messages and are refused once the daily quota is used up.

Registry, jobs, configurations, connects and keep-alives do not count.
"""


def blocks(size_bytes: int, block_bytes: int = METER_BYTES) -> int:
    """Return how many messages a body counts as: its blocks, rounded up, at least one."""
    return max(1, -(-size_bytes // block_bytes))


def _zeros() -> dict[Operation, int]:
    return dict.fromkeys(Operation, 0)


@dataclass(slots=True)
class Counters:
    """Totals since the hub started."""

    operations: dict[Operation, int] = field(default_factory=_zeros)
    """Performed operations; refused ones are not counted."""
    delayed: dict[Operation, int] = field(default_factory=_zeros)
    """Performed operations that waited first, for traffic shaping or a fault."""
    throttled: dict[Operation, int] = field(default_factory=_zeros)
    """Operations refused with 429."""
    faulted: dict[Operation, int] = field(default_factory=_zeros)
    """Operations refused by a fault."""
    over_quota: int = 0
    """Operations refused because the daily quota was used up."""
    query_rows: int = 0
    notifications: int = 0
    """Changes of desired properties sent to devices."""
    disconnects: int = 0
    messages: int = 0


class DailyMessages:
    """The messages of one UTC day and their limit; None is no limit.

    Compressed time shortens the day by `scale`.
    """

    def __init__(
        self, *, limit: int | None = None, block_bytes: int = METER_BYTES, scale: float = 1
    ) -> None:
        self.limit = limit
        self._block_bytes = block_bytes
        self._day_seconds = DAY_SECONDS / scale
        self._ends_at = 0.0
        self._used = 0

    def used_messages(self, now: float) -> int:
        """Return the messages counted since the day began."""
        if now >= self._ends_at:
            self._begin_day(now)
        return self._used

    def is_used_up(self, now: float) -> bool:
        return self.limit is not None and self.used_messages(now) >= self.limit

    def charge(self, now: float, size_bytes: int) -> int:
        """Count a body and return how many messages it was."""
        if now >= self._ends_at:
            self._begin_day(now)
        count = blocks(size_bytes, self._block_bytes)
        self._used += count
        return count

    def _begin_day(self, now: float) -> None:
        self._ends_at = (now // self._day_seconds + 1) * self._day_seconds
        self._used = 0
