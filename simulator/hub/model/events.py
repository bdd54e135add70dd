"""What happened on the device side, kept for reading: a feed with a cursor and a bounded memory.

Not IoT Hub's own: there, telemetry and events go to Event Hubs endpoints. Old events make room
for new ones, and a reader that was too slow is told how many it missed.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

MAX_EVENTS = 50_000
MAX_BYTES = 32 * 1024 * 1024
MAX_PAGE_BYTES = 2 * 1024 * 1024
_OVERHEAD_BYTES = 200
"""About what an event takes beside its body."""


class EventType(StrEnum):
    TELEMETRY = "telemetry"
    TWIN_CHANGE = "twinChange"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True)
class Event:
    """`sequence` grows by one with every event. `detail` and `body` depend on the type.

    telemetry       detail: the property bag as it stood in the topic; body: the message
    twinChange      detail: `reported`, or `service` for tags and desired; body: the patch as sent
    """

    sequence: int
    time: float
    type: EventType
    device_id: str
    detail: str = ""
    body: bytes = b""
    version: int = 0


@dataclass(frozen=True, slots=True)
class EventPage:
    """`cursor` is where to go on; `dropped` events after the asked cursor are gone for good."""

    events: tuple[Event, ...]
    cursor: int
    dropped: int


class EventFeed:
    """The latest events, at most MAX_EVENTS and MAX_BYTES of them."""

    def __init__(self, *, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES):
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._events: deque[Event] = deque()
        self._bytes = 0
        self._last = 0
        self._waiting: list[Callable[[], None]] = []

    @property
    def last(self) -> int:
        """The newest event's sequence number, 0 if there never was one."""
        return self._last

    @property
    def size_bytes(self) -> int:
        return self._bytes

    def append(
        self,
        now: float,
        kind: EventType,
        device_id: str,
        *,
        detail: str = "",
        body: bytes = b"",
        version: int = 0,
    ) -> None:
        self._last += 1
        event = Event(self._last, now, kind, device_id, detail, body, version)
        self._events.append(event)
        self._bytes += _size(event)
        while len(self._events) > self._max_events or self._bytes > self._max_bytes:
            self._bytes -= _size(self._events.popleft())
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for wake in waiting:
                wake()

    def read(self, cursor: int, limit: int) -> EventPage:
        """Events after `cursor` (a sequence number; 0 for all), oldest first.

        A cursor beyond the newest event, from before a restart say, counts as the newest.
        """
        cursor = min(cursor, self._last)
        oldest = self._last - len(self._events) + 1
        begin = max(cursor + 1, oldest)
        dropped = max(0, begin - cursor - 1)
        first = begin - oldest
        events = tuple(_within_bytes(islice(self._events, first, first + limit)))
        after = events[-1].sequence if events else cursor + dropped
        return EventPage(events, after, dropped)

    def when_more(self, wake: Callable[[], None]) -> None:
        """Call `wake` once, at the next event."""
        self._waiting.append(wake)

    def forget(self, wake: Callable[[], None]) -> None:
        """Take back `when_more`; harmless if it has been called."""
        if wake in self._waiting:
            self._waiting.remove(wake)


def _within_bytes(events: Iterable[Event]) -> Iterator[Event]:
    """As many as make a page, at least one."""
    total = 0
    for event in events:
        yield event
        total += _size(event)
        if total >= MAX_PAGE_BYTES:
            return


def _size(event: Event) -> int:
    return len(event.body) + len(event.detail) + _OVERHEAD_BYTES
