"""The clock that the model uses: the event loop's in the server, a manual one in tests."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

NEVER = "0001-01-01T00:00:00Z"
"""How the hub writes the time of an event that has not occurred."""


class Timer(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    def now(self) -> float:
        """Return the Unix time in seconds."""

    def call_later(self, seconds: float, callback: Callable[[], None], /) -> Timer: ...


def timestamp(seconds: float | None) -> str:
    """Format a Unix time as the hub does, with seven fraction digits. None is NEVER."""
    if seconds is None:
        return NEVER
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
