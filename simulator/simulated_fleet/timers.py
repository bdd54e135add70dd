"""Keep the times of all devices in one heap, instead of a timer or a task per device."""

import heapq
from collections.abc import Hashable, Iterator

_NEVER = float("inf")


class Timers[Key: Hashable]:
    """At most one time per key; a later time costs nothing until the earlier one is due."""

    def __init__(self) -> None:
        self._due: dict[Key, float] = {}
        self._queued: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._entries = 0

    def put(self, key: Key, due: float | None) -> None:
        """Set the time of a key, replacing its current one; None removes it."""
        if due is None:
            self._due.pop(key, None)
            return
        self._due[key] = due
        if due < self._queued.get(key, _NEVER):
            self._queue(key, due)

    @property
    def next_due(self) -> float | None:
        """A time before which nothing is due; None if no key has a time."""
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> Iterator[Key]:
        """Yield the keys that are due, earliest first, and remove their times."""
        while self._heap and self._heap[0][0] <= now:
            queued, _, key = heapq.heappop(self._heap)
            if self._queued.get(key) != queued:
                continue  # an earlier time was set since and has been handled
            del self._queued[key]
            due = self._due.get(key)
            if due is not None and due > now:
                self._queue(key, due)
            elif due is not None:
                del self._due[key]
                yield key

    def _queue(self, key: Key, due: float) -> None:
        self._queued[key] = due
        self._entries += 1  # keys need not be comparable
        heapq.heappush(self._heap, (due, self._entries, key))
