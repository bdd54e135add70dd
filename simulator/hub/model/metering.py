"""What the hub counts: every operation, and the messages that the daily quota is made of.

Counting is a plain addition and always on. Which operations cost messages: Microsoft Learn,
"Azure IoT Hub pricing" and "IoT Hub quotas and throttling", section "Quotas and throttling".
"""

from dataclasses import dataclass, field
from enum import StrEnum

KILOBYTE = 1024
METER_BYTES = 4 * KILOBYTE
"""A message is counted in blocks of this size; 0.5 KB on the free tier."""
DAY_SECONDS = 86_400


class Operation(StrEnum):
    """What services and devices ask of the hub; the words of metrics and faults."""

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
"""Operations that cost messages, and are refused once a day's are used up.

Not so registry, jobs and configurations as such, nor connects and keep-alives.
"""


def blocks(size_bytes: int, block_bytes: int = METER_BYTES) -> int:
    """How many messages a body counts as: begun blocks, at least one."""
    return max(1, -(-size_bytes // block_bytes))


def _zeros() -> dict[Operation, int]:
    return dict.fromkeys(Operation, 0)


@dataclass(slots=True)
class Counters:
    """Since the hub started. `operations` are those carried out, so none of the refused."""

    operations: dict[Operation, int] = field(default_factory=_zeros)
    delayed: dict[Operation, int] = field(default_factory=_zeros)
    """Of those carried out, the ones that waited first: traffic shaping, or a fault."""
    throttled: dict[Operation, int] = field(default_factory=_zeros)
    faulted: dict[Operation, int] = field(default_factory=_zeros)
    """Refused because a fault said so."""
    over_quota: int = 0
    query_rows: int = 0
    notifications: int = 0
    """Desired changes sent to devices."""
    disconnects: int = 0
    messages: int = 0


class DailyMessages:
    """Messages of one UTC day against the day's allowance; None is no limit.

    A day is shorter by `scale` where time is compressed.
    """

    def __init__(
        self, *, limit: int | None = None, block_bytes: int = METER_BYTES, scale: float = 1
    ):
        self.limit = limit
        self._block_bytes = block_bytes
        self._day_seconds = DAY_SECONDS / scale
        self._ends_at = 0.0
        self._used = 0

    def used_messages(self, now: float) -> int:
        """Messages counted since the day began."""
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
