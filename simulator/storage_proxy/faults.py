"""Choose which requests to a storage account go wrong, and how.

The faults are those that Microsoft Learn documents: "Status and error codes" (503 ServerBusy and
500 OperationTimedOut, after which the operation may have been done or not), "Query timeout and
pagination" (a page may end early), and a connection that breaks before the response arrives.
"""

import random
from dataclasses import dataclass
from enum import StrEnum


class StorageFault(StrEnum):
    """What goes wrong with one request."""

    BUSY = "busy"
    """503 ServerBusy; nothing is done."""
    TIMED_OUT = "timedOut"
    """500 OperationTimedOut; nothing is done."""
    TIMED_OUT_LATE = "timedOutLate"
    """500 OperationTimedOut, although the operation is done."""
    DROPPED = "dropped"
    """The operation is done, and the connection is closed without a response."""
    EARLY_PAGE = "earlyPage"
    """A table query returns its first rows and a continuation."""


ALWAYS_POSSIBLE = (
    StorageFault.BUSY,
    StorageFault.TIMED_OUT,
    StorageFault.TIMED_OUT_LATE,
    StorageFault.DROPPED,
)
MAX_EARLY_ROWS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageFaultPlan:
    """How storage behaves."""

    latency_seconds: float = 0.0
    """What is added to each request."""
    fault_share: float = 0.0
    """The share of requests that go wrong, 0..1."""
    seed: int = 1


class StorageFaults:
    """The faults of one proxy, chosen by chance from a seed."""

    def __init__(self, plan: StorageFaultPlan) -> None:
        self._share = plan.fault_share
        self._random = random.Random(plan.seed)

    def choose(self, *, is_query: bool) -> StorageFault | None:
        """Return what goes wrong with the next request; None: nothing does."""
        if self._random.random() >= self._share:
            return None
        early = (StorageFault.EARLY_PAGE,) * len(ALWAYS_POSSIBLE) if is_query else ()
        return self._random.choice((*ALWAYS_POSSIBLE, *early))

    def early_rows(self) -> int:
        """Return after how many rows a page ends early."""
        return self._random.randint(1, MAX_EARLY_ROWS)
