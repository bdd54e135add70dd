"""The rate of a rollout, and when it will end at this rate."""

from collections import deque

from fleet.responses import Json

WINDOW_SECONDS = 300.0
_MIN_SAMPLES = 2
_ENDED = ("completed", "failed", "cancelled", "skipped")


class Rate:
    """Counts of ended devices in the last minutes; seconds are monotonic."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, rollout: Json, now: float) -> None:
        self._samples.append((now, sum(rollout["counts"][state] for state in _ENDED)))
        while len(self._samples) > _MIN_SAMPLES and now - self._samples[0][0] > WINDOW_SECONDS:
            self._samples.popleft()

    def per_minute(self) -> float | None:
        """Return ended devices per minute, or None until two counts differ."""
        if len(self._samples) < _MIN_SAMPLES:
            return None
        (first, before), (last, after) = self._samples[0], self._samples[-1]
        if last <= first or after <= before:
            return None
        return (after - before) * 60 / (last - first)

    def seconds_left(self, rollout: Json) -> float | None:
        """Return the time to the end at this rate, or None if the rate is not known."""
        rate, counts = self.per_minute(), rollout["counts"]
        left = counts["queued"] + counts["updating"]
        return None if rate is None or not left else left * 60 / rate
