"""The audit trail: who or what changed the rollout, when and why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

type Action = Literal[
    "created",
    "started",
    "waveOpened",
    "waveCompleted",
    "waveFailed",
    "approvalAsked",
    "approved",
    "changed",
    "paused",
    "resumed",
    "cancelled",
    "retried",
    "rolledBack",
    "rollbackCreated",
    "rollbackImpossible",
    "stratumFrozen",
    "stratumFailed",
    "stratumResumed",
    "stratumCancelled",
    "stratumRolledBack",
    "frozen",
    "unfrozen",
    "quarantined",
    "outageBegan",
    "outageEnded",
    "outageUnchecked",
    "superseded",
    "supersedes",
    "devicesGone",
    "devicesJoined",
    "completed",
    "completedLate",
    "failed",
    "ended",
]
"""What an event of the audit trail says that happened."""

ACTIONS: tuple[Action, ...] = get_args(Action.__value__)


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
