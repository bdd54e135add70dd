"""Limit a download: its size, its rate, its attempts, and the time while the device has power."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from device_agent.errors import RefusedError, UnavailableError, UpdateFailedError
from device_agent.ports import Clock

# A loss of power forgets at most this much of the time that a download has taken.
_RECORD_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLimits:
    """How much is downloaded, how fast, and for how long."""

    bytes_per_second: int | None = None
    """The highest rate; None means no limit."""
    max_package_bytes: int = 4 << 30
    """The largest package."""
    max_attempts: int = 10
    """The most attempts in a row without a new byte; also the most downloads from the beginning."""
    max_refusals: int = 3
    """The most refusals in a row: statuses 4xx, and responses that are not the package."""
    first_pause_seconds: float = 1.0
    """The pause after the first failed attempt; it doubles with each further one."""
    max_pause_seconds: float = 60.0
    """The longest pause between two attempts that the server does not request."""
    max_retry_after_seconds: float = 600.0
    """The longest pause that a server may request with `Retry-After`."""
    max_seconds: float = 50 * 60
    """The longest time that a download may take while the device has power."""
    sync_bytes: int = 32 << 20
    """The most that a loss of power can damage."""


type RecordSeconds = Callable[[float], None]
"""Stores how long the download has taken, in seconds."""


class PoweredTime:
    """The time that one download has taken while the device had power, over all restarts.

    Only the monotonic clock counts: the clock of a device without a battery starts in 1970, and is
    set during the download.
    """

    def __init__(self, clock: Clock, spent_seconds: float, record: RecordSeconds) -> None:
        """Continue from `spent_seconds`, which an earlier run of the device recorded."""
        self._clock, self._record = clock, record
        self._started_at = clock.monotonic() - spent_seconds
        self._recorded = spent_seconds

    @property
    def seconds(self) -> float:
        """How long the download has taken."""
        return self._clock.monotonic() - self._started_at

    def record_if_due(self) -> None:
        """Record the time if the last record is old. Raises OSError."""
        if self.seconds - self._recorded >= _RECORD_SECONDS:
            self.record()

    def record(self) -> None:
        """Record the time. Raises OSError."""
        self._recorded = self.seconds
        self._record(self._recorded)


class Attempts:
    """The failed attempts of one download since it last made progress."""

    def __init__(self, limits: DownloadLimits) -> None:
        """Start without a failed attempt."""
        self._limits = limits
        self._failed = self._refused = 0

    def choose_pause(self, error: UnavailableError, *, has_progress: bool, downloads: int) -> float:
        """Return the seconds until the next attempt. Raises UpdateFailedError if none is left.

        `has_progress` tells whether the failed attempt brought new bytes; `downloads` counts how
        often the package was sent from its beginning.
        """
        self._failed = 1 if has_progress else self._failed + 1
        if isinstance(error, RefusedError):
            self._refused += 1
        elif has_progress:
            self._refused = 0
        limits, failed = self._limits, max(self._failed, downloads)
        if failed >= limits.max_attempts or self._refused >= limits.max_refusals:
            raise UpdateFailedError(error.code, str(error))
        longest = min(limits.max_pause_seconds, limits.first_pause_seconds * 2.0 ** (failed - 1))
        requested = min(error.retry_after_seconds, limits.max_retry_after_seconds)
        return max(longest * random.uniform(0.5, 1), requested)
