"""A dispatch queue in memory, on a virtual clock."""

import heapq
from datetime import datetime, timedelta
from itertools import count

from functions.dispatch_queue.port import Batch
from simulator.rehearsal.virtual_clock import VirtualClock


class VirtualQueue:
    """Implements `functions.dispatch_queue.port.DispatchQueue`."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._numbers = count()
        self._waiting: list[tuple[datetime, int, Batch]] = []

    def put(self, batch: Batch, delay_seconds: float) -> None:
        visible_at = self._clock.now + timedelta(seconds=delay_seconds)
        heapq.heappush(self._waiting, (visible_at, next(self._numbers), batch))

    def ping(self) -> None:
        pass

    def due(self, until: datetime) -> tuple[datetime, Batch] | None:
        """Remove and return the first batch that is visible by `until`, and since when."""
        if not self._waiting or self._waiting[0][0] > until:
            return None
        visible_at, _, batch = heapq.heappop(self._waiting)
        return visible_at, batch

    def clear(self) -> None:
        """Remove all messages."""
        self._waiting.clear()

    def __len__(self) -> int:
        return len(self._waiting)
