"""A time in which no device of a rollout could start, for a reason outside of the rollout."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """An outage, a wait for the messages of the day, or a closed maintenance window."""

    code: str  # of an outage, or "window"
    message: str  # a sentence for people, with its numbers
    since: datetime
    until: datetime | None  # may be ahead, for a window; None: it lasts
