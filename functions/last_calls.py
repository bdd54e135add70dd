"""Remember how the last calls to the hub and to the storage account ended, and the last tick.

`GET /health` responds from these records alone. The records are of this process: on a plan that
runs each trigger on instances of its own, an HTTP process does not see the ticks.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

# An older observation says nothing about now. Without this limit, an instance that a load balancer
# took out after one failure would report that failure for ever.
MAX_AGE_SECONDS = 300.0


class PartState(StrEnum):
    """Whether a service responds, by the last call to it."""

    OK = "ok"
    FAILING = "failing"
    UNKNOWN = "unknown"  # no call within MAX_AGE_SECONDS


@dataclass(frozen=True, slots=True)
class _End:
    responded: bool
    at: float  # monotonic seconds


class LastCall:
    """How the last call to one service ended. Threads may share it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end: _End | None = None

    def record(self, *, responded: bool) -> None:
        """Record the end of a call; a service that refuses this app has not responded."""
        self._end = _End(responded, self._clock())

    def state(self) -> PartState:
        end = self._end
        if end is None or self._clock() - end.at > MAX_AGE_SECONDS:
            return PartState.UNKNOWN
        return PartState.OK if end.responded else PartState.FAILING

    def age_seconds(self) -> int | None:
        """Return the whole seconds since the last call ended; None: no call was made."""
        end = self._end
        return None if end is None else int(self._clock() - end.at)


class LastCalls:
    """The last call to each service that the app works with, and the last tick."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.hub = LastCall(clock)
        self.tables = LastCall(clock)
        self.queue = LastCall(clock)
        self.tick = LastCall(clock)

    def parts(self) -> Mapping[str, Sequence[LastCall]]:
        """Return the calls that make up each part of the app's health, by its name."""
        return {"hub": (self.hub,), "storage": (self.tables, self.queue)}


def worst_state(calls: Sequence[LastCall]) -> PartState:
    """Return FAILING if one of the services fails, else OK if one responds, else UNKNOWN."""
    states = {call.state() for call in calls}
    ranked = (PartState.FAILING, PartState.OK)
    return next((state for state in ranked if state in states), PartState.UNKNOWN)


def smallest_age(calls: Sequence[LastCall]) -> int | None:
    """Return the age of the latest call in whole seconds; None: no call was made."""
    ages = [age for call in calls if (age := call.age_seconds()) is not None]
    return min(ages, default=None)
