"""What a rehearsal remembers of its way: how many devices were where, and what happened.

The memory is bounded: a rehearsal of weeks keeps as many samples as one of minutes, further apart.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from functions.rollouts.model.rollout import Counts, Event, Rollout

SAMPLES_AT_MOST = 400
# The first and the latest are kept: the beginning, and how it came to its end.
EVENTS_AT_MOST = 400


class Sample(NamedTuple):
    """How many devices were where, so many virtual seconds after the beginning."""

    seconds: float
    counts: Counts


class Timeline:
    """Recorded as the rehearsal goes on, at times that do not go back."""

    def __init__(self, begins: datetime, samples_at_most: int = SAMPLES_AT_MOST) -> None:
        """`samples_at_most` is at least 2."""
        self.begins = begins
        self.events_left_out = 0
        self._at_most = samples_at_most
        self._interval = 0.0
        self._kept: list[Sample] = []
        self._latest: Sample | None = None
        self._events: list[Event] = []
        self._seen = 0

    def record(self, now: datetime, rollout: Rollout) -> None:
        """Take a sample, and the events that are new; between two calls no more than it holds."""
        new = min(rollout.event_count - self._seen, len(rollout.events))
        if new > 0:
            self._events += rollout.events[-new:]
            self._seen = rollout.event_count
            self._forget_some()
        self.sample((now - self.begins).total_seconds(), rollout.counts)

    def sample(self, seconds: float, counts: Counts) -> None:
        self._latest = Sample(seconds, counts)
        if self._kept and seconds - self._kept[-1].seconds < self._interval:
            return
        self._kept.append(self._latest)
        if len(self._kept) >= self._at_most:
            self._kept = self._kept[::2]
            self._interval = 2 * (seconds - self._kept[0].seconds) / self._at_most

    @property
    def samples(self) -> Sequence[Sample]:
        """In order of time; the last one is the latest that there was."""
        if self._latest is None or self._kept[-1] is self._latest:
            return tuple(self._kept)
        return (*self._kept, self._latest)

    @property
    def seconds(self) -> float:
        """How long it went on."""
        return self._latest.seconds if self._latest else 0.0

    @property
    def events(self) -> Sequence[Event]:
        """Oldest first."""
        return tuple(self._events)

    def seconds_of(self, event: Event) -> float:
        return max(0.0, (event.at - self.begins).total_seconds())

    def _forget_some(self) -> None:
        """Forget from the middle."""
        excess = len(self._events) - EVENTS_AT_MOST
        if excess > 0:
            middle = EVENTS_AT_MOST // 2
            del self._events[middle : middle + excess]
            self.events_left_out += excess
