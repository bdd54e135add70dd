"""The port for rollouts, their blocks of device updates and their audit events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from functions.rollout_store.ports.records import Page
from functions.rollout_store.ports.update_filter import UpdateFilter
from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.freeze import Freeze
from functions.rollouts.model.later_rollouts import LaterRollouts
from functions.rollouts.model.rollout import Rollout, RolloutStatus

# The most blocks that one `add` or `save` accepts, because it writes all or none of them. A block
# is new while its devices have no history; it is then much smaller.
MAX_BLOCKS_PER_SAVE = 4
MAX_NEW_BLOCKS_PER_SAVE = 20
# Audit events in a rollout's own record. `save` takes older ones as `older_events`.
MAX_EVENTS_IN_ROLLOUT = 40
# Characters of `Definition.earlier_firmware`, as JSON in UTF-16: in a rollout of one block, whose
# record shares its space with the devices, and in a larger one. One version always fits.
MAX_FIRMWARE_CHARACTERS_BESIDE_BLOCK = 48 * 1024
MAX_FIRMWARE_CHARACTERS = 256 * 1024


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A rollout as it was read, with the blocks read so far.

    The version guards the blocks too, because every write of a block also writes the rollout. The
    devices of the blocks have the numbers of this rollout's waves, also if its waves have changed
    since a block was written.
    """

    rollout: Rollout
    version: str
    blocks: Mapping[int, Block] = field(default_factory=dict)  # by block number

    def updates_of(self, number: int) -> Sequence[DeviceUpdate]:
        """Return the updates of a block that was read; none if the block has been removed."""
        block = self.blocks.get(number)
        return block.updates if block else ()


class RolloutStore(Protocol):
    """Store rollouts with their blocks and events.

    Ids come from `rollout_ids.new_rollout_id`; lists of rollouts are in the order of the ids,
    newest first.
    """

    def announce(self, rollout: Rollout) -> None:
        """List a rollout as open that is about to be added. `get` does not find it yet."""

    def add(self, rollout: Rollout, blocks: Sequence[Block] = ()) -> Snapshot:
        """Store a new rollout and its blocks, all or nothing. The rollout is then listed as open.

        Raises LostRaceError if a rollout with this id exists.
        """

    def get(self, rollout_id: str) -> Snapshot | None:
        """Read one rollout, or return None if none has this id. Any text is a valid argument."""

    def get_status(
        self, rollout_id: str
    ) -> tuple[RolloutStatus, LaterRollouts, frozenset[int], Freeze | None] | None:
        """Read a rollout's status, later rollouts, indexes of frozen strata, and freeze alone.

        Return None if none has this id.
        """

    def get_revision(self, rollout_id: str) -> tuple[int, bool] | None:
        """Read a rollout's revision, and whether it is over, alone.

        Return None if none has this id. Any text is a valid argument.
        """

    def get_blocks(self, snapshot: Snapshot, numbers: Sequence[int]) -> Snapshot:
        """Read blocks that the snapshot does not hold yet. Leave out those that do not exist."""

    def save(
        self,
        snapshot: Snapshot,
        rollout: Rollout,
        blocks: Sequence[Block] = (),
        older_events: Sequence[Event] = (),
    ) -> Snapshot:
        """Write a changed rollout, its changed or new blocks, and events moved out of its record.

        Writes all or nothing. List the rollout as closed if it is over, else as open. Return the
        new snapshot. Raises LostRaceError if the rollout has changed since the snapshot was read.
        """

    def list_rollouts(
        self, status: RolloutStatus | None, limit: int, cursor: str | None
    ) -> Page[Rollout]:
        """List rollouts, newest first, all or those with a status. Raises CursorError."""

    def list_open_ids(self) -> Sequence[str]:
        """List the ids of all rollouts that are not over, newest first, with the announced ones."""

    def list_later_ids(self, rollout_id: str, since: datetime) -> Sequence[str]:
        """List the ids of the rollouts that were created or announced later, newest first.

        Those that ended before `since` are missing.
        """

    def list_ended_ids(self, since: datetime) -> Sequence[str]:
        """List the ids of the rollouts that ended at `since` or later, newest first.

        Called after `list_open_ids`, it has those that ended between the two calls. A rollout that
        an earlier release closed is missing.
        """

    def list_blocks_with(self, rollout_id: str, states: Sequence[DeviceState]) -> Sequence[int]:
        """List the numbers of the blocks that hold a device in one of `states`, ascending."""

    def find_blocks(self, snapshot: Snapshot, device_ids: Sequence[str]) -> Mapping[str, int]:
        """Find the numbers of the blocks of these devices, by device id.

        Devices that the rollout does not have are missing in the result.
        """

    def get_update(self, snapshot: Snapshot, device_id: str) -> DeviceUpdate | None:
        """Read one device update, or return None if the rollout has no such device."""

    def list_updates(
        self,
        snapshot: Snapshot,
        chosen: UpdateFilter,
        limit: int,
        cursor: str | None,
        first: int = 0,
    ) -> Page[DeviceUpdate]:
        """List the chosen device updates in start order. Raises CursorError.

        Begin at the cursor or, without one, at the position `first`. A page may have fewer than
        `limit` updates, and a cursor: a page reads a limited number of blocks.
        """

    def list_device_ids(self, snapshot: Snapshot) -> Sequence[str]:
        """List the ids of all devices in stored blocks, in start order."""

    def list_events(self, snapshot: Snapshot, limit: int, cursor: str | None) -> Page[Event]:
        """List the audit events up to the snapshot, oldest first. Raises CursorError."""

    def list_events_from(self, snapshot: Snapshot, first: int, limit: int) -> Sequence[Event]:
        """List at most `limit` events up to the snapshot, from number `first` on, oldest first."""
