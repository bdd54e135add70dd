"""How far a rollout has searched for late joiners: devices that have come to meet its condition."""

from dataclasses import dataclass
from datetime import datetime

from functions.rollouts.model.target import TargetDevice


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """The search for devices that meet the condition and are not in the rollout.

    A search queries all devices that match, page by page, in as many ticks as that takes. The
    devices of a page that may join are stored here first, then in the history, then in blocks. So
    after a crash the next tick lets the same devices join, at the same positions.
    """

    joined: int = 0  # devices that have joined so far
    found: tuple[TargetDevice, ...] = ()  # devices that join next; none is in a block yet
    cursor: str | None = None  # continues the search under way; None: none is under way
    began_at: datetime | None = None  # when the latest search began; None: none has begun
    checked_at: datetime | None = None  # when the latest complete search began; None: none
    due_at: datetime | None = None  # when the next page is queried; None: the first one is not set


NO_JOINING = Joining()
