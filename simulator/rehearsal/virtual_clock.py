"""The clock of a rehearsal."""

from datetime import datetime


class VirtualClock:
    """Stands still until its owner sets `now`."""

    __slots__ = ("now",)

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now
