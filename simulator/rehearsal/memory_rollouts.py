"""Store rollouts in memory, for one thread.

Records are frozen, so the store keeps and returns them without copying.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, islice
from operator import attrgetter

from functions.errors import LostRaceError
from functions.rollout_store.ports.records import Page
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollout_store.ports.update_filter import UpdateFilter
from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.block import BLOCK_SIZE, Block, assign_waves
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.freeze import Freeze
from functions.rollouts.model.later_rollouts import LaterRollouts
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.rollout.frozen import frozen_strata
from simulator.rehearsal.memory_records import Versions, page, to_position, to_text

_STATE = attrgetter("state")
_DEVICE_ID = attrgetter("device_id")


class _StoredRollout:
    """One rollout with everything that is stored of it."""

    __slots__ = ("block_numbers", "blocks", "older_events", "rollout", "version")

    def __init__(self, rollout: Rollout, version: str, block_numbers: Mapping[str, int]) -> None:
        self.rollout = rollout
        self.version = version
        self.block_numbers = block_numbers  # by device id
        self.blocks: dict[int, Block] = {}
        self.older_events: list[Event] = []

    def ordered_blocks(self) -> Iterator[Block]:
        return (self.blocks[number] for number in sorted(self.blocks))

    def numbers_of_blocks(self) -> dict[str, int]:
        """Return the number of each stored device's block, by device id."""
        return {
            update.device_id: block.number
            for block in self.blocks.values()
            for update in block.updates
        }

    def assign_waves(self) -> None:
        for number, block in self.blocks.items():
            self.blocks[number] = assign_waves(block, self.rollout.waves)

    def find_update(self, device_id: str) -> DeviceUpdate | None:
        number = self.block_numbers.get(device_id)
        block = None if number is None else self.blocks.get(number)
        return block.find(device_id) if block else None


class MemoryRolloutStore:
    """Implement `functions.rollout_store.ports.rollouts.RolloutStore`."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._rollouts: dict[str, _StoredRollout] = {}
        self._open: dict[str, datetime] = {}  # when each was announced, by id
        self._ended: dict[str, datetime] = {}  # when each ended, or is to be considered, by id
        self._block_numbers: dict[str, dict[str, int]] = {}  # by rollout id, by device id

    def announce(self, rollout: Rollout) -> None:
        self._open[rollout.id] = rollout.definition.created_at

    def add(self, rollout: Rollout, blocks: Sequence[Block] = ()) -> Snapshot:
        self.announce(rollout)
        if rollout.id in self._rollouts:
            raise LostRaceError(f"Rollout {rollout.id} exists already.")
        block_numbers = self._block_numbers.setdefault(rollout.id, {})
        stored = _StoredRollout(rollout, self._versions.next(), block_numbers)
        self._rollouts[rollout.id] = stored
        stored.blocks |= {block.number: block for block in blocks}
        self._list(rollout)
        return Snapshot(rollout, stored.version, dict(stored.blocks))

    def _list(self, rollout: Rollout) -> None:
        """List a rollout as open or as ended."""
        if rollout.is_followed or rollout.ended_at is None:
            self._open.setdefault(rollout.id, rollout.definition.created_at)
        else:
            self._open.pop(rollout.id, None)
            self._ended[rollout.id] = rollout.ended_at

    def get(self, rollout_id: str) -> Snapshot | None:
        stored = self._rollouts.get(rollout_id)
        return Snapshot(stored.rollout, stored.version) if stored else None

    def get_status(
        self, rollout_id: str
    ) -> tuple[RolloutStatus, LaterRollouts, frozenset[int], Freeze | None] | None:
        stored = self._rollouts.get(rollout_id)
        if stored is None:
            return None
        rollout = stored.rollout
        return rollout.status, rollout.later, frozen_strata(rollout), rollout.freeze

    def get_revision(self, rollout_id: str) -> tuple[int, bool] | None:
        stored = self._rollouts.get(rollout_id)
        return (stored.rollout.revision, stored.rollout.is_over) if stored else None

    def get_blocks(self, snapshot: Snapshot, numbers: Sequence[int]) -> Snapshot:
        blocks = self._stored(snapshot).blocks
        found = {number: blocks[number] for number in numbers if number in blocks}
        return Snapshot(snapshot.rollout, snapshot.version, {**snapshot.blocks, **found})

    def save(
        self,
        snapshot: Snapshot,
        rollout: Rollout,
        blocks: Sequence[Block] = (),
        older_events: Sequence[Event] = (),
    ) -> Snapshot:
        stored = self._rollouts.get(rollout.id)
        if stored is None or stored.version != snapshot.version:
            raise LostRaceError(f"Rollout {rollout.id} was changed by another request.")
        has_other_waves = rollout.wave_ends != stored.rollout.wave_ends
        stored.rollout, stored.version = rollout, self._versions.next()
        stored.blocks |= {block.number: block for block in blocks}
        if has_other_waves:
            stored.assign_waves()
        stored.older_events += older_events
        self._list(rollout)
        known = {*snapshot.blocks, *(block.number for block in blocks)}
        return Snapshot(rollout, stored.version, {item: stored.blocks[item] for item in known})

    def list_rollouts(
        self, status: RolloutStatus | None, limit: int, cursor: str | None
    ) -> Page[Rollout]:
        first = to_text("rollouts", cursor)
        found = (
            (rollout_id, self._rollouts[rollout_id].rollout)
            for rollout_id in sorted(self._rollouts)
            if rollout_id >= first
        )
        return page("rollouts", _with_status(status, found), limit)

    def list_open_ids(self) -> Sequence[str]:
        return sorted(self._open)

    def list_later_ids(self, rollout_id: str, since: datetime) -> Sequence[str]:
        return sorted(key for key in {*self._open, *self.list_ended_ids(since)} if key < rollout_id)

    def list_ended_ids(self, since: datetime) -> Sequence[str]:
        return sorted(key for key, ended_at in self._ended.items() if ended_at >= since)

    def list_blocks_with(self, rollout_id: str, states: Sequence[DeviceState]) -> Sequence[int]:
        wanted, stored = frozenset(states), self._rollouts.get(rollout_id)
        return [
            block.number
            for block in (stored.ordered_blocks() if stored else ())
            if not wanted.isdisjoint(map(_STATE, block.updates))
        ]

    def find_blocks(self, snapshot: Snapshot, device_ids: Sequence[str]) -> Mapping[str, int]:
        stored = self._stored(snapshot)
        known = stored.numbers_of_blocks()
        return {item: known[item] for item in device_ids if item in known}

    def get_update(self, snapshot: Snapshot, device_id: str) -> DeviceUpdate | None:
        stored = self._stored(snapshot)
        found = stored.find_update(device_id)
        if found is not None:
            return found
        updates = chain.from_iterable(block.updates for block in stored.ordered_blocks())
        return next((update for update in updates if update.device_id == device_id), None)

    def list_updates(
        self,
        snapshot: Snapshot,
        chosen: UpdateFilter,
        limit: int,
        cursor: str | None,
        first: int = 0,
    ) -> Page[DeviceUpdate]:
        first = first if cursor is None else to_position("updates", cursor)
        positions = chosen.positions(snapshot.rollout)
        found = (
            (position, update)
            for block in self._stored(snapshot).ordered_blocks()
            if block.number >= first // BLOCK_SIZE
            for position, update in enumerate(block.updates, block.number * BLOCK_SIZE)
            if position >= first and position in positions and chosen.matches(update)
        )
        return page("updates", found, limit)

    def list_device_ids(self, snapshot: Snapshot) -> Sequence[str]:
        blocks = self._stored(snapshot).ordered_blocks()
        return list(map(_DEVICE_ID, chain.from_iterable(block.updates for block in blocks)))

    def list_events(self, snapshot: Snapshot, limit: int, cursor: str | None) -> Page[Event]:
        first, stored = to_position("events", cursor), self._stored(snapshot)
        events = enumerate(chain(stored.older_events, stored.rollout.audit.events))
        return page("events", islice(events, first, None), limit)

    def list_events_from(self, snapshot: Snapshot, first: int, limit: int) -> Sequence[Event]:
        stored = self._stored(snapshot)
        events = chain(stored.older_events, stored.rollout.audit.events)
        return list(islice(events, first, first + limit))

    def save_block_numbers(self, rollout_id: str, block_numbers: Mapping[str, int]) -> None:
        """Store in which block each device is, for `MemoryTargetStore`."""
        self._block_numbers.setdefault(rollout_id, {}).update(block_numbers)

    def find_with_device(
        self, device_id: str, first: str
    ) -> Iterator[tuple[Rollout, DeviceUpdate]]:
        """Find the rollouts with a device and an id of at least `first`, in the order of ids."""
        return (
            (self._rollouts[rollout_id].rollout, update)
            for rollout_id in sorted(self._rollouts)
            if rollout_id >= first
            and (update := self._rollouts[rollout_id].find_update(device_id)) is not None
        )

    def get_block_numbers(self, rollout_id: str) -> Mapping[str, int]:
        """Return in which block each device is, by device id."""
        return self._block_numbers.get(rollout_id, {})

    def find_later(
        self, rollout_id: str, device_ids: frozenset[str]
    ) -> Mapping[str, frozenset[str]]:
        """Find the rollouts with an id before this one's that have some of the devices."""
        found = {
            later_id: device_ids.intersection(self._block_numbers[later_id])
            for later_id in sorted(self._block_numbers)
            if later_id < rollout_id
        }
        return {later_id: devices for later_id, devices in found.items() if devices}

    def list_ended(self, before: datetime) -> Sequence[str]:
        """List the rollouts that ended before a time, oldest end first."""
        found = [(ended_at, key) for key, ended_at in self._ended.items() if ended_at < before]
        return [key for _, key in sorted(found)]

    def has_earlier(self, rollout_id: str) -> bool:
        """Return whether a rollout with an id behind this one has ended."""
        return any(key > rollout_id for key in self._ended)

    def postpone(self, rollout_id: str, listed_at: datetime) -> None:
        """List a rollout as if it had ended then."""
        self._ended[rollout_id] = listed_at

    def abandon(self, rollout_id: str, before: datetime) -> None:
        """List a rollout that was announced before a time for removal."""
        if self._open.get(rollout_id, before) < before:
            del self._open[rollout_id]
            self._ended[rollout_id] = before

    def forget(self, rollout_id: str) -> None:
        """Remove a rollout from the list of those that have ended."""
        self._ended.pop(rollout_id, None)

    def remove(self, snapshot: Snapshot) -> None:
        """Remove a rollout's record and blocks. Raises LostRaceError."""
        stored = self._rollouts.get(snapshot.rollout.id)
        if stored is None or stored.version != snapshot.version:
            raise LostRaceError("The rollout was changed by another request.")
        del self._rollouts[snapshot.rollout.id]

    def remove_history(self, rollout_id: str) -> None:
        """Remove in which block each device of a rollout was."""
        self._block_numbers.pop(rollout_id, None)

    def _stored(self, snapshot: Snapshot) -> _StoredRollout:
        """Return what is stored of a rollout: no blocks if it has been removed."""
        stored = self._rollouts.get(snapshot.rollout.id)
        return stored or _StoredRollout(snapshot.rollout, snapshot.version, {})


def _with_status(
    status: RolloutStatus | None, rollouts: Iterable[tuple[str, Rollout]]
) -> Iterator[tuple[str, Rollout]]:
    return ((key, item) for key, item in rollouts if status is None or item.status is status)
