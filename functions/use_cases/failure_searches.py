"""Remember how far the failures of each rollout were searched, in the memory of a process.

So no failure is read twice, and a search costs no write. After a restart of the process, the
failures of the last minutes are read once more.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from functions.rollouts.device import attention
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.target import TargetDevice
from functions.rollouts.rollout import breach

# Results of queries are seconds old, at times minutes. Reports this old may be new in a result.
QUERY_LAG = timedelta(minutes=2)
# How far back the first search after a restart looks. Older failures were due meanwhile.
FIRST_LOOK_BACK = timedelta(minutes=10)
# Reports kept in memory for each rollout, about 200 bytes each, and rollouts kept.
MAX_KEPT_REPORTS = 5_000
MAX_KEPT_ROLLOUTS = 100


def is_worthwhile(rollout: Rollout) -> bool:
    """Return whether failures matter, and there are more devices than each tick observes anyway."""
    counts = rollout.counts
    many = counts.updating + counts.soaking > attention.MAX_OBSERVED_EVERY_TICK
    return many and rollout.status in breach.JUDGED


@dataclass(slots=True, kw_only=True)
class Search:
    """How far the failures of one rollout have been searched."""

    since: datetime  # reports from then on are searched
    started_at: datetime  # when its latest devices were leased
    begun_at: datetime  # when the query of the cursor was first sent
    searched_at: datetime | None = None  # None: not searched yet
    cursor: str | None = None  # continues the query; None: begins it
    devices: int = 0  # devices leased, or in flight when the search began
    count: int = 0  # queries sent
    # Reports that were read, oldest first: a device id with the hub's time of its status.
    known: OrderedDict[TargetDevice, None] = field(default_factory=OrderedDict)

    def due_at(self, now: datetime) -> datetime:
        """Return when the next query is due."""
        if self.searched_at is None or self.cursor is not None:
            return now
        elapsed = now - self.started_at
        return self.searched_at + attention.search_interval(self.count, self.devices, elapsed)

    def remember(self, reports: Iterable[TargetDevice]) -> None:
        """Keep reports from being read again."""
        self.known |= dict.fromkeys(reports)
        while len(self.known) > MAX_KEPT_REPORTS:
            self.known.popitem(last=False)


@dataclass(frozen=True, slots=True)
class FailureSearches:
    """The searches of the rollouts that were searched last, in the memory of a process."""

    _searches: OrderedDict[str, Search] = field(default_factory=OrderedDict)

    def get(self, moment: Moment) -> Search:
        """Return the rollout's search; a new one looks back FIRST_LOOK_BACK at most."""
        rollout, now = moment.rollout, moment.now
        search = self._searches.get(rollout.id)
        if search is None:
            counts = rollout.counts
            search = self._searches[rollout.id] = Search(
                since=max((rollout.started_at or now) - QUERY_LAG, now - FIRST_LOOK_BACK),
                started_at=now,
                begun_at=now,
                devices=counts.updating + counts.soaking,
            )
        self._searches.move_to_end(rollout.id)
        while len(self._searches) > MAX_KEPT_ROLLOUTS:
            self._searches.popitem(last=False)
        return search

    def record_leases(self, rollout: Rollout, devices: int, now: datetime) -> None:
        """Record that devices were leased: the next searches are worth their cost."""
        search = self._searches.get(rollout.id)
        if search is not None and devices:
            search.started_at = now
            search.devices += devices

    def record_read(self, rollout: Rollout, reports: Iterable[TargetDevice]) -> None:
        """Record that the devices of these reports were observed."""
        search = self._searches.get(rollout.id)
        if search is not None:
            search.remember(reports)

    def due_at(self, rollout: Rollout, now: datetime) -> datetime | None:
        """Return when the rollout's next search is due; None if it is not searched."""
        search = self._searches.get(rollout.id)
        return search.due_at(now) if search is not None and is_worthwhile(rollout) else None
