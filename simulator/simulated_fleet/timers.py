"""One heap of times for all devices, instead of a timer or a task for each."""

import heapq
from collections.abc import Hashable, Iterator

_NEVER = float("inf")


class Timers[Key: Hashable]:
    """At most one time per key. Moving a time on costs nothing until the old one is due."""

    def __init__(self) -> None:
        self._due: dict[Key, float] = {}
        self._queued: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._entries = 0

    def put(self, key: Key, due: float | None) -> None:
        """Set the key's time in place of any earlier one; None takes it away."""
        if due is None:
            self._due.pop(key, None)
            return
        self._due[key] = due
        if due < self._queued.get(key, _NEVER):
            self._queue(key, due)

    @property
    def next_due(self) -> float | None:
        """Nothing is due before that; there may be nothing then, either."""
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> Iterator[Key]:
        """The keys whose time has come, earliest first; each is without a time then."""
        while self._heap and self._heap[0][0] <= now:
            queued, _, key = heapq.heappop(self._heap)
            if self._queued.get(key) != queued:
                continue  # an earlier time was set since, and has been dealt with
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
