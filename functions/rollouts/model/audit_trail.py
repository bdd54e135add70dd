"""The audit trail: who or what changed the rollout, when and why."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry of the audit trail."""

    at: datetime
    action: str  # for programs: "paused", "waveOpened", ...
    by: str  # a caller's name, or `rollout` for the rollout itself
    message: str  # for people


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTrail:
    """The latest events; older ones are stored in rows of their own."""

    events: tuple[Event, ...] = ()  # oldest first
    event_count: int = 0  # events ever added, stored elsewhere or not
