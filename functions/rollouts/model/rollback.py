"""Whether a rollout is being undone, and by which rollout."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RollbackDue:
    """A rollback was decided and is not created yet."""

    rollback_id: str | None = None  # stored before it is created; None: not chosen yet


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The rollback exists."""

    rollback_id: str


type Rollback = RollbackDue | RolledBack
