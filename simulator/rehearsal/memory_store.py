"""A pretended Table Storage: the store's promises kept in memory, for one thread.

Records are frozen, so they are kept and given out as they are. A cursor names its list and the
place where the next page begins.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, count, islice
from operator import attrgetter

from functions.errors import LostRaceError
from functions.rollout_store.port import CursorError, DeviceLock, KeyUse, Page, Snapshot, Stored
from functions.rollouts.model.device_update import DeviceState, DeviceUpdate
from functions.rollouts.model.rollout import (
    BLOCK_SIZE,
    Block,
    Event,
    Firmware,
    Rollout,
    RolloutStatus,
)
from functions.rollouts.rollout.pacing import Budget
from functions.rollouts.rollout.start_order import TargetDevice

_STATE = attrgetter("state")
_DEVICE_ID = attrgetter("device_id")


class _Kept:
    """One rollout with all that is kept of it."""

    __slots__ = ("blocks", "rollout", "spilled", "version")

    def __init__(self, rollout: Rollout, version: str) -> None:
        self.rollout = rollout
        self.version = version
        self.blocks: dict[int, Block] = {}
        self.spilled: list[Event] = []

    def in_order(self) -> Iterator[Block]:
        """Numbers may have been written in any order."""
        return (self.blocks[number] for number in sorted(self.blocks))

    def find(self, number: int, device_id: str) -> DeviceUpdate | None:
        """This device's update in one block."""
        block = self.blocks.get(number)
        found = block.updates if block else ()
        return next((update for update in found if update.device_id == device_id), None)


class MemoryStore:
    """Implements `functions.rollout_store.port.RolloutStore`."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._kept: dict[str, _Kept] = {}
        self._targets: dict[str, dict[int, tuple[TargetDevice, ...]]] = {}
        self._block_numbers: dict[str, dict[str, int]] = {}
        self._firmware: dict[str, Firmware] = {}
        self._pace: Stored[Budget] | None = None
        self._holds: dict[str, Stored[DeviceLock]] = {}
        self._keys: dict[str, Stored[KeyUse]] = {}

    # -- rollouts

    def add_rollout(self, rollout: Rollout, blocks: Sequence[Block] = ()) -> Snapshot:
        if rollout.id in self._kept:
            raise LostRaceError(f"Rollout {rollout.id} exists already.")
        kept = self._kept[rollout.id] = _Kept(rollout, self._version())
        kept.blocks |= {block.number: block for block in blocks}
        return Snapshot(rollout, kept.version, dict(kept.blocks))

    def snapshot(self, rollout_id: str) -> Snapshot | None:
        kept = self._kept.get(rollout_id)
        return Snapshot(kept.rollout, kept.version) if kept else None

    def with_blocks(self, snapshot: Snapshot, numbers: Sequence[int]) -> Snapshot:
        kept = self._of(snapshot)
        found = {number: kept.blocks[number] for number in numbers if number in kept.blocks}
        return Snapshot(snapshot.rollout, snapshot.version, {**snapshot.blocks, **found})

    def save(
        self,
        snapshot: Snapshot,
        rollout: Rollout,
        blocks: Sequence[Block] = (),
        spilled: Sequence[Event] = (),
    ) -> Snapshot:
        kept = self._kept.get(rollout.id)
        if kept is None or kept.version != snapshot.version:
            raise LostRaceError(f"Rollout {rollout.id} was changed since it was read.")
        kept.rollout, kept.version = rollout, self._version()
        changed = {block.number: block for block in blocks}
        kept.blocks |= changed
        kept.spilled += spilled
        return Snapshot(rollout, kept.version, {**snapshot.blocks, **changed})

    def rollouts(
        self, status: RolloutStatus | None, limit: int, cursor: str | None
    ) -> Page[Rollout]:
        after = _text_cursor("rollouts", cursor)
        found = (
            (rollout_id, self._kept[rollout_id].rollout)
            for rollout_id in sorted(self._kept)
            if rollout_id >= after
        )
        return _page("rollouts", _only(status, found), limit)

    def open_rollout_ids(self) -> Sequence[str]:
        return [key for key in sorted(self._kept) if not self._kept[key].rollout.is_over]

    def blocks_with(self, rollout_id: str, states: Sequence[DeviceState]) -> Sequence[int]:
        wanted, kept = frozenset(states), self._kept.get(rollout_id)
        return [
            block.number
            for block in (kept.in_order() if kept else ())
            if not wanted.isdisjoint(map(_STATE, block.updates))
        ]

    def find(self, snapshot: Snapshot, device_id: str) -> DeviceUpdate | None:
        kept = self._of(snapshot)
        number = self._block_numbers.get(snapshot.rollout.id, {}).get(device_id)
        found = None if number is None else kept.find(number, device_id)
        if found is not None:
            return found
        every = chain.from_iterable(block.updates for block in kept.in_order())
        return next((update for update in every if update.device_id == device_id), None)

    def updates_page(
        self, snapshot: Snapshot, state: DeviceState | None, limit: int, cursor: str | None
    ) -> Page[DeviceUpdate]:
        first = _number_cursor("updates", cursor)
        blocks = (
            block for block in self._of(snapshot).in_order() if block.number >= first // BLOCK_SIZE
        )
        found = (
            (place, update)
            for block in blocks
            for place, update in enumerate(block.updates, block.number * BLOCK_SIZE)
            if place >= first and (state is None or update.state is state)
        )
        return _page("updates", found, limit)

    def device_ids(self, snapshot: Snapshot) -> Sequence[str]:
        blocks = self._of(snapshot).in_order()
        return list(map(_DEVICE_ID, chain.from_iterable(block.updates for block in blocks)))

    def events(self, snapshot: Snapshot, limit: int, cursor: str | None) -> Page[Event]:
        first, kept = _number_cursor("events", cursor), self._of(snapshot)
        every = enumerate(chain(kept.spilled, kept.rollout.events))
        return _page("events", islice(every, first, None), limit)

    # -- what a rollout's devices are gathered from

    def add_target_part(
        self, rollout_id: str, number: int, members: Sequence[TargetDevice]
    ) -> None:
        self._targets.setdefault(rollout_id, {})[number] = tuple(members)

    def target_parts(self, rollout_id: str, first: int, end: int) -> Sequence[TargetDevice]:
        known = self._targets.get(rollout_id, {})
        return list(chain.from_iterable(known.get(number, ()) for number in range(first, end)))

    def add_history(self, rollout_id: str, places: Mapping[str, int]) -> None:
        self._block_numbers.setdefault(rollout_id, {}).update(places)

    def history(
        self, device_id: str, limit: int, cursor: str | None
    ) -> Page[tuple[Rollout, DeviceUpdate]]:
        after = _text_cursor("history", cursor)
        found = (
            (rollout_id, (kept.rollout, update))
            for rollout_id in sorted(self._block_numbers)
            if rollout_id >= after
            and (number := self._block_numbers[rollout_id].get(device_id)) is not None
            and (kept := self._kept.get(rollout_id)) is not None
            and (update := kept.find(number, device_id)) is not None
        )
        return _page("history", found, limit)

    # -- firmware seen

    def remember_firmware(self, firmware: Firmware) -> None:
        self._firmware[firmware.version] = firmware

    def known_firmware(self, version: str) -> Firmware | None:
        return self._firmware.get(version)

    # -- the hub's quotas

    def pace(self) -> Stored[Budget] | None:
        return self._pace

    def save_budget(self, pace: Budget, version: str | None) -> str:
        if version != (self._pace.version if self._pace else None):
            raise LostRaceError("The pace was changed since it was read.")
        self._pace = Stored(pace, self._version())
        return self._pace.version

    # -- devices in hand

    def hold(self, device_id: str) -> Stored[DeviceLock] | None:
        return self._holds.get(device_id)

    def add_device_lock(self, device_id: str, hold: DeviceLock) -> None:
        self._add(self._holds, device_id, hold)

    def save_device_lock(self, device_id: str, hold: Stored[DeviceLock]) -> None:
        self._replace(self._holds, device_id, hold)

    # -- idempotency keys

    def key_use(self, key: str) -> Stored[KeyUse] | None:
        return self._keys.get(key)

    def use_key(self, key: str, use: KeyUse) -> Stored[KeyUse]:
        return self._add(self._keys, key, use)

    def save_key(self, key: str, use: Stored[KeyUse]) -> Stored[KeyUse]:
        return self._replace(self._keys, key, use)

    def release_key(self, key: str, use: Stored[KeyUse]) -> None:
        _check(self._keys.get(key), use)
        del self._keys[key]

    def ping(self) -> None:
        return None

    def _of(self, snapshot: Snapshot) -> _Kept:
        return self._kept[snapshot.rollout.id]

    def _add[T](self, kept: dict[str, Stored[T]], key: str, record: T) -> Stored[T]:
        if key in kept:
            raise LostRaceError(f"There is a record of {key} already.")
        kept[key] = Stored(record, self._version())
        return kept[key]

    def _replace[T](self, kept: dict[str, Stored[T]], key: str, read: Stored[T]) -> Stored[T]:
        _check(kept.get(key), read)
        kept[key] = Stored(read.record, self._version())
        return kept[key]

    def _version(self) -> str:
        return str(next(self._numbers))


def _check[T](current: Stored[T] | None, read: Stored[T]) -> None:
    if current is None or current.version != read.version:
        raise LostRaceError("The record was changed since it was read.")


def _only(
    status: RolloutStatus | None, rollouts: Iterable[tuple[str, Rollout]]
) -> Iterator[tuple[str, Rollout]]:
    return ((key, item) for key, item in rollouts if status is None or item.status is status)


def _page[T](name: str, found: Iterable[tuple[str | int, T]], limit: int) -> Page[T]:
    """The first `limit`; one more tells whether, and where, there is another page."""
    keyed = list(islice(found, limit + 1))
    more = f"{name}:{keyed[limit][0]}" if len(keyed) > limit else None
    return Page([item for _, item in keyed[:limit]], more)


def _text_cursor(name: str, cursor: str | None) -> str:
    if cursor is None:
        return ""
    kind, _, place = cursor.partition(":")
    if kind != name:
        raise CursorError("not one that this store gave out")
    return place


def _number_cursor(name: str, cursor: str | None) -> int:
    place = _text_cursor(name, cursor)
    if cursor is not None and not (place.isascii() and place.isdigit()):
        raise CursorError("not one that this store gave out")
    return int(place or 0)
