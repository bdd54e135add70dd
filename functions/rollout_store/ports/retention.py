"""The port for what a tick finds: rollouts to advance, and ended rollouts to remove."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from functions.rollout_store.ports.rollouts import Snapshot


@dataclass(frozen=True, slots=True)
class EndedRollout:
    """The entry of an ended rollout in the order of the ends."""

    id: str
    key: str  # the store's own
    traces: str = ""  # the store's own: what is left to remove once the record is gone


@dataclass(frozen=True, slots=True, kw_only=True)
class TickWork:
    """What one tick may work on."""

    open_ids: Sequence[str] = ()  # as `RolloutStore.list_open_ids`
    # Ended rollouts that are still listed among the open ones, as earlier releases left them: the
    # first of them. A `save` lists each as closed.
    misplaced_ids: Sequence[str] = ()
    expired: Sequence[EndedRollout] = field(default_factory=tuple)  # the first, oldest end first


class RetentionStore(Protocol):
    """Find and remove rollouts that ended long ago."""

    def list_work(self, ended_before: datetime | None) -> TickWork:
        """List the open rollouts, and the first of those that ended before a time, in one request.

        None: no rollout is to be removed. The cost does not depend on the number of ended ones.
        """

    def has_earlier(self, rollout_id: str) -> bool:
        """Return whether a rollout is stored as ended that was created before this one."""

    def postpone(self, ended: EndedRollout, listed_at: datetime) -> None:
        """List an ended rollout as if it had ended at `listed_at`."""

    def abandon(self, rollout_id: str, before: datetime) -> None:
        """List a rollout that was announced before a time, and not added, for removal."""

    def forget(self, ended: EndedRollout) -> None:
        """Remove the entry alone, of a rollout that has been reopened since."""

    def remove(self, ended: EndedRollout, snapshot: Snapshot | None) -> Iterator[None]:
        """Remove an ended rollout with all that belongs to it, its record first.

        Yields after each step that a later call does not have to repeat. A caller may stop at any
        of them, and a removal that is stopped at each ends all the same. A later call continues,
        with `snapshot` None once the record is gone. Raises LostRaceError if the
        rollout has changed since the snapshot was read; nothing is removed then.
        """
