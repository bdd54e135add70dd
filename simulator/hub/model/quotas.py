"""The quotas of a hub's tier, and the throttles of its operations.

Source: Microsoft Learn, "IoT Hub quotas and throttling", sections "Operation throttles" and
"Traffic shaping": a burst is served at once, then requests queue and are served at the limit's
rate, then the queue is full and they are refused (429). The sizes of burst and queue are not
documented. Here the burst is what the limit allows in its interval (a second or a minute), and a
request that would wait longer than BACKLOG_SECONDS is refused (unverified).
"""

from dataclasses import dataclass
from enum import StrEnum

from simulator.hub.model.jobs import JobLimits
from simulator.hub.model.metering import KILOBYTE, METER_BYTES, Operation

BACKLOG_SECONDS = 10.0
_SECOND, _MINUTE = 1.0, 60.0


class Tier(StrEnum):
    """Editions of IoT Hub. The basic ones are missing: they have no twins and no methods."""

    F1 = "F1"
    S1 = "S1"
    S2 = "S2"
    S3 = "S3"


class QuotaError(ValueError):
    """An invalid number of units, or an invalid time scale."""


@dataclass(frozen=True, slots=True)
class Limit:
    """`per_unit` operations per unit in `seconds`, in all at least `per_hub`."""

    per_unit: float
    seconds: float = _SECOND
    per_hub: float = 0

    def allowance(self, units: int) -> float:
        """Return the operations allowed within `seconds`."""
        return max(self.per_hub, self.per_unit * units)


type _Row = tuple[Limit, Limit, Limit]

_TWIN_READS: _Row = (Limit(0, per_hub=100), Limit(10, per_hub=100), Limit(500))
_TWIN_UPDATES: _Row = (Limit(0, per_hub=50), Limit(5, per_hub=50), Limit(250))
_PER_MINUTE: _Row = (Limit(100, _MINUTE), Limit(100, _MINUTE), Limit(5000, _MINUTE))
_SENDS: _Row = (Limit(12, per_hub=100), Limit(120), Limit(6000))

LIMITS: dict[Operation, _Row] = {
    # Stated in bytes: 160 KB, 480 KB and 24 MB a second, in blocks of 4 KB.
    Operation.METHOD: (Limit(40), Limit(120), Limit(6144)),
    Operation.TWIN_READ: _TWIN_READS,
    Operation.TWIN_UPDATE: _TWIN_UPDATES,
    Operation.QUERY: (Limit(20, _MINUTE), Limit(20, _MINUTE), Limit(1000, _MINUTE)),
    Operation.REGISTRY: _PER_MINUTE,
    Operation.JOB: _PER_MINUTE,
    Operation.JOB_DEVICE: (Limit(0, per_hub=10), Limit(1, per_hub=10), Limit(50)),
    Operation.CONFIGURATION: (Limit(20, _MINUTE), Limit(20, _MINUTE), Limit(20, _MINUTE)),
    Operation.CONNECT: _SENDS,
    Operation.TELEMETRY: _SENDS,
    Operation.CLOUD_TO_DEVICE: _PER_MINUTE,
}
"""Columns: F1 and S1, S2, S3."""

SHARES_WITH = {
    Operation.DEVICE_TWIN_READ: Operation.TWIN_READ,
    Operation.DEVICE_TWIN_UPDATE: Operation.TWIN_UPDATE,
}
"""Devices and services share the twin limits (how the service splits them is unverified)."""

_COLUMN = {Tier.F1: 0, Tier.S1: 0, Tier.S2: 1, Tier.S3: 2}
_ACTIVE_JOBS = {Tier.F1: 1, Tier.S1: 1, Tier.S2: 5, Tier.S3: 10}
"""Section "Other limits", "Maximum concurrently active jobs"."""
_DAILY_MESSAGES = {Tier.F1: 8_000, Tier.S1: 400_000, Tier.S2: 6_000_000, Tier.S3: 300_000_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """A hub's tier and number of units."""

    tier: Tier
    units: int = 1
    scale: float = 1
    """Compresses time: at 10, ten times the rates and a tenth of a day."""

    def __post_init__(self) -> None:
        if self.units < 1 or (self.tier is Tier.F1 and self.units > 1):
            raise QuotaError(f"invalid number of units: {self.units}; at least 1, and 1 for F1")
        if not self.scale > 0:
            raise QuotaError(f"invalid time scale: {self.scale}; it must be above 0")

    def limit(self, operation: Operation) -> Limit:
        return LIMITS[operation][_COLUMN[self.tier]]

    @property
    def jobs(self) -> JobLimits:
        limit = self.limit(Operation.JOB_DEVICE)
        rate = limit.allowance(self.units) / limit.seconds * self.scale
        return JobLimits(active=_ACTIVE_JOBS[self.tier], devices_per_second=rate)

    @property
    def daily_messages(self) -> int:
        return _DAILY_MESSAGES[self.tier] * self.units

    @property
    def block_bytes(self) -> int:
        return KILOBYTE // 2 if self.tier is Tier.F1 else METER_BYTES


class Throttle:
    """The throttle of one limit: a leaky bucket, without a queue or a timer.

    The operations that begin within any `w` seconds cost at most `burst + per_second * w`. They
    begin in the order of arrival, and none waits longer than `backlog_seconds`.
    """

    def __init__(self, *, per_second: float, burst: float, backlog_seconds: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._backlog_seconds = backlog_seconds
        self._level = 0.0
        self._level_at = 0.0

    def take(self, now: float, cost: float = 1) -> float | None:
        """Return the seconds until the operation may begin, 0 for at once. None refuses it."""
        self._level = max(0.0, self._level - (now - self._level_at) * self._per_second)
        self._level_at = now
        above = self._level + min(cost, self._burst) - self._burst
        wait = max(0.0, above / self._per_second)
        if wait > self._backlog_seconds:
            return None
        self._level += cost
        return wait


class Throttles:
    """The throttles of one hub, for its tier and units."""

    def __init__(self, quota: Quota) -> None:
        self._throttles = {operation: _throttle(quota, operation) for operation in LIMITS}
        for operation, other in SHARES_WITH.items():
            self._throttles[operation] = self._throttles[other]

    def take(self, operation: Operation, now: float, cost: float = 1) -> float | None:
        """Return what Throttle.take returns for this operation."""
        return self._throttles[operation].take(now, cost)


def _throttle(quota: Quota, operation: Operation) -> Throttle:
    limit = quota.limit(operation)
    allowance = limit.allowance(quota.units)
    return Throttle(
        per_second=allowance / limit.seconds * quota.scale,
        burst=allowance,
        backlog_seconds=BACKLOG_SECONDS / quota.scale,
    )
