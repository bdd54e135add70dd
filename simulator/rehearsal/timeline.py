"""Record a rehearsal: how many devices were in each state over time, and what happened.

The size is bounded: a rehearsal of weeks keeps as many samples as one of minutes, further apart.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.outage import DAILY_QUOTA, Outage
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.wave import Counts

MAX_SAMPLES = 400
# The first and the latest events are kept, so that beginning and end are known.
MAX_EVENTS = 400


class Sample(NamedTuple):
    """The number of devices in each state at one time."""

    seconds: float
    """Virtual seconds since the beginning."""
    counts: Counts


class Timeline:
    """Samples and events, recorded at times that never decrease."""

    def __init__(self, begins: datetime, max_samples: int = MAX_SAMPLES) -> None:
        """Start without samples. `max_samples` is at least 2."""
        self.begins = begins
        self.omitted_events = 0
        self._max_samples = max_samples
        self._interval = 0.0
        self._kept: list[Sample] = []
        self._latest: Sample | None = None
        self._events: list[Event] = []
        self._recorded_events = 0
        self._quota_waits: dict[datetime, Outage] = {}  # by their begin

    def record(self, now: datetime, rollout: Rollout) -> None:
        """Record a sample and the new events. The rollout must still hold all new events."""
        new = min(rollout.audit.event_count - self._recorded_events, len(rollout.audit.events))
        if new > 0:
            self._events += rollout.audit.events[-new:]
            self._recorded_events = rollout.audit.event_count
            self._drop_events()
        for outage in rollout.outages:
            if outage.code == DAILY_QUOTA:
                self._quota_waits[outage.since] = outage
        self.add_sample((now - self.begins).total_seconds(), rollout.counts)

    def add_sample(self, seconds: float, counts: Counts) -> None:
        """Record a sample. Every second kept sample is dropped when there are too many."""
        self._latest = Sample(seconds, counts)
        if self._kept and seconds - self._kept[-1].seconds < self._interval:
            return
        self._kept.append(self._latest)
        if len(self._kept) >= self._max_samples:
            self._kept = self._kept[::2]
            self._interval = 2 * (seconds - self._kept[0].seconds) / self._max_samples

    @property
    def samples(self) -> Sequence[Sample]:
        """Kept samples in order of time, with the latest at the end."""
        if self._latest is None or self._kept[-1] is self._latest:
            return tuple(self._kept)
        return (*self._kept, self._latest)

    @property
    def seconds(self) -> float:
        """Virtual seconds from the beginning to the latest sample."""
        return self._latest.seconds if self._latest else 0.0

    @property
    def events(self) -> Sequence[Event]:
        """Kept events, oldest first."""
        return tuple(self._events)

    @property
    def quota_waits(self) -> Sequence[Outage]:
        """Waits for the hub's daily quota, oldest first; a rollout keeps only the latest."""
        return tuple(self._quota_waits.values())

    def seconds_of(self, event: Event) -> float:
        return max(0.0, (event.at - self.begins).total_seconds())

    def _drop_events(self) -> None:
        """Drop events from the middle until MAX_EVENTS are left."""
        excess = len(self._events) - MAX_EVENTS
        if excess > 0:
            middle = MAX_EVENTS // 2
            del self._events[middle : middle + excess]
            self.omitted_events += excess
