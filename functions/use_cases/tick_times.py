"""Keep how often a process ticks, which limits what a tick may do besides its rollouts."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(slots=True)
class TickTimes:
    """When this process ran its latest tick."""

    latest: datetime | None = None  # None: it has run none

    def begin(self, now: datetime) -> timedelta:
        """Record a tick. Return the time since the one before; zero for the first."""
        before, self.latest = self.latest or now, now
        return now - before
