"""What a pretended hub counts and refuses, on a virtual clock.

Source: Microsoft Learn, "IoT Hub quotas and throttling". Times are seconds since 1970.
"""

from dataclasses import dataclass
from math import inf

from functions.errors import HubUnavailableError
from functions.rollouts.rollout.pacing import Quotas
from simulator.hub.model.metering import DAY_SECONDS, blocks
from simulator.hub.model.quotas import BACKLOG_SECONDS, Throttle

_MINUTE = 60
# A single read waits in the reader's own pool as well, so a burst of them is spread already.
_READ_BACKLOG_SECONDS = 30.0
# Reports are let in by bins of time, of a second, or longer where a second has room for few.
_BIN_REPORTS = 10


class TurnedAwayError(HubUnavailableError):
    """The hub refuses, for now."""


class ThrottledError(TurnedAwayError):
    """Too many at once (429001)."""


class UsedUpError(TurnedAwayError):
    """The messages of the day are used up (403002)."""


@dataclass(slots=True, kw_only=True)
class Operations:
    """How often the hub did what; `messages` is what counts against the daily quota.

    A device's reports are counted when they are planned, which is before the hub has them, and
    once more if they are planned anew.
    """

    methods: int = 0
    twin_reads: int = 0
    twin_updates: int = 0
    queries: int = 0
    messages: int = 0


class ReportSlots:
    """Lets so many reports in a second, in the order in which places are taken.

    Places may be taken for any time to come: a full bin of time knows a later one with room.
    """

    def __init__(self, per_second: float) -> None:
        self._width = max(1.0, _BIN_REPORTS / per_second)
        self._room = int(per_second * self._width)
        self._taken: dict[int, int] = {}
        self._further: dict[int, int] = {}

    def reserve(self, due: float) -> float:
        """When a report is let in that is due then, or already late."""
        wanted = int(due // self._width)
        number = self._with_room(wanted)
        taken = self._taken.pop(number, 0) + 1
        if taken < self._room:
            self._taken[number] = taken
        else:
            self._further[number] = number + 1
        if number == wanted:
            return due
        return (number + (taken - 1) / self._room) * self._width

    def _with_room(self, number: int) -> int:
        passed = []
        while (further := self._further.get(number)) is not None:
            passed.append(number)
            number = further
        for full in passed:
            self._further[full] = number
        return number


class Meter:
    """Counts, and refuses what exceeds `quotas`; without them it only counts.

    Device reports are never refused, only let in later: devices repeat them until they succeed.
    """

    def __init__(self, quotas: Quotas | None) -> None:
        self.operations = Operations()
        self._by_day: dict[int, int] = {}
        self._daily = quotas.messages_a_day if quotas else inf
        self._slots = ReportSlots(quotas.twin_updates) if quotas else None
        self._methods = _throttle(quotas.methods, 1, BACKLOG_SECONDS) if quotas else None
        self._reads = _throttle(quotas.twin_reads, 1, _READ_BACKLOG_SECONDS) if quotas else None
        self._queries = _throttle(quotas.queries, _MINUTE, BACKLOG_SECONDS) if quotas else None

    def method(self, now: float) -> float:
        """Seconds that the call waits. Raises TurnedAwayError."""
        wait = self._admit("method", self._methods, now)
        self.operations.methods += 1
        # Request and answer; a device that is not connected costs as much: the request, and one.
        self._spend(now, 2)
        return wait

    def twin_read(self, now: float) -> None:
        """Raises TurnedAwayError."""
        self._admit("twin read", self._reads, now)
        self.operations.twin_reads += 1
        self._spend(now, 1)

    def query(self, now: float, size_bytes: int) -> None:
        """Raises TurnedAwayError."""
        self._admit("query", self._queries, now)
        self.operations.queries += 1
        self._spend(now, blocks(size_bytes))

    def report(self, due: float) -> float:
        """Count a device's report, and say when it is let in."""
        at = self._slots.reserve(due) if self._slots else due
        self.operations.twin_updates += 1
        self._spend(at, 1)
        return at

    def _messages_on(self, now: float) -> int:
        """Spent on the UTC day of `now`, with the reports that are still to come on it."""
        return self._by_day.get(int(now // DAY_SECONDS), 0)

    def _admit(self, what: str, throttle: Throttle | None, now: float) -> float:
        if throttle is None:
            return 0.0
        if self._messages_on(now) >= self._daily:
            raise UsedUpError("The hub's messages of this day are used up (403002).")
        wait = throttle.take(now)
        if wait is None:
            raise ThrottledError(f"The hub turned the {what} away (429001).")
        return wait

    def _spend(self, now: float, messages: int) -> None:
        day = int(now // DAY_SECONDS)
        self.operations.messages += messages
        self._by_day[day] = self._by_day.get(day, 0) + messages


def _throttle(per_second: float, stated_for: float, backlog_seconds: float) -> Throttle:
    """`stated_for` is the interval, in seconds, that the documentation states the limit for."""
    burst = max(1.0, per_second * stated_for)
    return Throttle(per_second=per_second, burst=burst, backlog_seconds=backlog_seconds)
