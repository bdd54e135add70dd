"""Limit the rate of a download."""

from device_agent.ports import Clock

# After a pause, at most this many seconds of the unused rate are made up for.
_MAX_BURST_SECONDS = 1.0


class RateLimit:
    """Holds a download to a rate by sleeping."""

    def __init__(self, clock: Clock, bytes_per_second: int | None) -> None:
        """Start now; `bytes_per_second` None means no limit."""
        self._clock = clock
        self._bytes_per_second = bytes_per_second
        self._free_at = clock.monotonic()

    def wait(self, received_bytes: int) -> None:
        """Sleep until `received_bytes` more fit the rate. Raises SwitchedOffError."""
        if not self._bytes_per_second:
            return
        now = self._clock.monotonic()
        started = max(self._free_at, now - _MAX_BURST_SECONDS)
        self._free_at = started + received_bytes / self._bytes_per_second
        if self._free_at > now:
            self._clock.sleep(self._free_at - now)
