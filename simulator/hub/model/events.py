"""The event feed: telemetry, twin changes and connections, read with a cursor.

IoT Hub has no such feed; it sends telemetry and events to Event Hubs endpoints. The feed's memory
is bounded: new events replace the oldest, and a slow reader learns how many it missed.
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
"""Memory of an event besides its body, estimated."""


class EventType(StrEnum):
    TELEMETRY = "telemetry"
    TWIN_CHANGE = "twinChange"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True)
class Event:
    """An event. `detail` and `body` depend on the type.

    telemetry       detail: the property bag of the topic; body: the message
    twinChange      detail: `reported`, or `service` for tags and desired; body: the patch as sent
    """

    sequence: int
    """Grows by one with every event."""
    time: float
    type: EventType
    device_id: str
    detail: str = ""
    body: bytes = b""
    version: int = 0


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events, oldest first."""

    events: tuple[Event, ...]
    cursor: int
    """Where the next page begins."""
    dropped: int
    """Events after the requested cursor that are no longer in memory."""


class EventFeed:
    """The latest events, at most MAX_EVENTS and MAX_BYTES of them."""

    def __init__(self, *, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._events: deque[Event] = deque()
        self._bytes = 0
        self._last = 0
        self._waiting: list[Callable[[], None]] = []

    @property
    def last(self) -> int:
        """Return the newest event's sequence number, or 0 if no event occurred."""
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
        """Return the events after `cursor` (a sequence number; 0 for all), oldest first.

        A cursor beyond the newest event, for example from before a restart, counts as the newest.
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
        """Cancel `when_more`. After the call of `wake` it does nothing."""
        if wake in self._waiting:
            self._waiting.remove(wake)


def _within_bytes(events: Iterable[Event]) -> Iterator[Event]:
    """Yield the events that fit into a page, at least one."""
    total = 0
    for event in events:
        yield event
        total += _size(event)
        if total >= MAX_PAGE_BYTES:
            return


def _size(event: Event) -> int:
    return len(event.body) + len(event.detail) + _OVERHEAD_BYTES
