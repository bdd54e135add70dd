"""A stratum of a rollout as it is shown."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from functions.rollouts.model.reason import Reason
from functions.rollouts.model.wave import Counts


class StratumStatus(StrEnum):
    """Where a stratum stands."""

    JUDGED = "judged"  # by itself, besides the waves
    TOO_SMALL = "tooSmall"  # even if all its devices failed, its gate would not be breached
    FROZEN = "frozen"  # none of its devices starts
    CANCELLED = "cancelled"  # its queued devices are cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class StratumView:
    """One stratum of a rollout."""

    name: str
    size: int  # devices
    status: StratumStatus
    counts: Counts
    reason: Reason | None  # why it is frozen; None: it is not
    frozen_at: datetime | None
    rolled_back_by: str | None  # the rollout that undoes its devices alone
