"""What a virtual hub counts and refuses. Times are seconds since 1970.

Source: Microsoft Learn, "IoT Hub quotas and throttling".
"""

from collections import Counter
from dataclasses import asdict, dataclass
from math import inf

from functions.errors import DailyQuotaError, HubRefusedError, HubUnavailableError
from functions.rollouts.model.quotas import Quotas
from functions.rollouts.model.usage import Usage
from simulator.hub.model.metering import DAY_SECONDS, blocks
from simulator.hub.model.quotas import BACKLOG_SECONDS, Throttle

_MINUTE = 60
# The reader's connection pool already spreads a burst of single reads, so they may wait longer.
_READ_BACKLOG_SECONDS = 30.0
# Reports are counted in intervals of 1 s, or longer where a second has room for fewer than this.
_MIN_INTERVAL_REPORTS = 10


class RefusedError(HubUnavailableError):
    """The hub refuses an operation for now."""


class ThrottledError(RefusedError):
    """The rate limit of an operation is exceeded (429001)."""


@dataclass(slots=True, kw_only=True)
class Operations:
    """Number of operations of each kind.

    A device's reports are counted when they are planned, which is before the hub stores them, and
    again if they are planned again.
    """

    methods: int = 0
    twin_reads: int = 0
    twin_updates: int = 0
    queries: int = 0
    messages: int = 0
    """Messages that count against the daily quota."""


class ReportSlots:
    """Limits the reports in each interval, in the order in which slots are reserved.

    Slots may be reserved for any time to come: a full interval links to a later one with room.
    """

    def __init__(self, per_second: float) -> None:
        self._width = max(1.0, _MIN_INTERVAL_REPORTS / per_second)
        self._room = int(per_second * self._width)
        self._taken: dict[int, int] = {}
        self._next: dict[int, int] = {}

    def reserve(self, due: float) -> float:
        """Return when a report that is due at `due` is stored."""
        wanted = int(due // self._width)
        number = self._first_with_room(wanted)
        taken = self._taken.pop(number, 0) + 1
        if taken < self._room:
            self._taken[number] = taken
        else:
            self._next[number] = number + 1
        if number == wanted:
            return due
        return (number + (taken - 1) / self._room) * self._width

    def _first_with_room(self, number: int) -> int:
        passed = []
        while (following := self._next.get(number)) is not None:
            passed.append(number)
            number = following
        for full in passed:
            self._next[full] = number
        return number


METHOD, TWIN_READ, QUERY = "method", "twin read", "query"
CALLS = frozenset({METHOD, TWIN_READ, QUERY})


class Meter:
    """Counts operations, and refuses those that exceed `quotas`; without quotas it only counts.

    Device reports are never refused, only delayed: devices repeat them until they succeed.
    """

    def __init__(self, quotas: Quotas | None) -> None:
        self.operations = Operations()
        self.refused = frozenset[str]()  # kinds of calls that the hub refuses to the app
        self.refusals = 0  # calls that were refused so
        # Fields of `Usage`: what the service's calls have used since it was last taken.
        self._used: Counter[str] = Counter()
        self._by_day: dict[int, int] = {}
        self._daily = quotas.messages_a_day if quotas else inf
        self._slots = ReportSlots(quotas.twin_updates) if quotas else None
        self._methods = _throttle(quotas.methods, 1, BACKLOG_SECONDS) if quotas else None
        self._reads = _throttle(quotas.twin_reads, 1, _READ_BACKLOG_SECONDS) if quotas else None
        self._queries = _throttle(quotas.queries, _MINUTE, BACKLOG_SECONDS) if quotas else None

    def method(self, now: float) -> float:
        """Count a method call and return the seconds it waits. Raises RefusedError."""
        wait = self._admit(METHOD, self._methods, now)
        self.operations.methods += 1
        # Request and response. A call to an offline device costs two messages as well.
        self._count_messages(now, 2)
        self._used["methods"] += 1
        self._used["method_messages"] += 2
        return wait

    def twin_read(self, now: float) -> None:
        """Count a single twin read. Raises RefusedError."""
        self._admit(TWIN_READ, self._reads, now)
        self.operations.twin_reads += 1
        self._count_messages(now, 1)
        self._used["twins"] += 1
        self._used["twin_messages"] += 1

    def query(self, now: float, size_bytes: int) -> None:
        """Count a page of a query result. Raises RefusedError."""
        self._admit(QUERY, self._queries, now)
        self.operations.queries += 1
        messages = blocks(size_bytes)
        self._count_messages(now, messages)
        self._used["other_messages"] += messages

    def report(self, due: float) -> float:
        """Count a device's report and return when the hub stores it."""
        at = self._slots.reserve(due) if self._slots else due
        self.operations.twin_updates += 1
        self._count_messages(at, 1)
        return at

    def take_usage(self) -> Usage:
        """Return what the service's calls have used since the last time."""
        taken = Usage(**self._used)
        self._used.clear()
        return taken

    def return_usage(self, usage: Usage) -> None:
        """Let usage be taken again that could not be stored."""
        self._used.update(asdict(usage))

    def _messages_on_day_of(self, now: float) -> int:
        """Return the messages of the UTC day, including reports planned for later that day."""
        return self._by_day.get(int(now // DAY_SECONDS), 0)

    def check_access(self, operation: str) -> None:
        """Raise HubRefusedError if the hub refuses such calls to the app."""
        if operation in self.refused:
            self.refusals += 1
            raise HubRefusedError("The IoT Hub refuses this app (401002).")

    def _admit(self, operation: str, throttle: Throttle | None, now: float) -> float:
        self.check_access(operation)
        if throttle is None:
            return 0.0
        if self._messages_on_day_of(now) >= self._daily:
            self._used["refusals"] += 1
            raise DailyQuotaError("The hub's daily message quota is used up (403002).")
        wait = throttle.take(now)
        if wait is None:
            raise ThrottledError(f"The hub throttled the {operation} (429001).")
        return wait

    def _count_messages(self, now: float, messages: int) -> None:
        day = int(now // DAY_SECONDS)
        self.operations.messages += messages
        self._by_day[day] = self._by_day.get(day, 0) + messages


def _throttle(per_second: float, interval: float, backlog_seconds: float) -> Throttle:
    """Return a throttle for a limit that the documentation states per `interval` seconds."""
    burst = max(1.0, per_second * interval)
    return Throttle(per_second=per_second, burst=burst, backlog_seconds=backlog_seconds)
