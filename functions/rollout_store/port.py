"""What the use cases need of a store, in this project's own words.

All methods raise StorageUnavailableError. A write that follows a read raises LostRaceError when
the record was changed in between.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from functions.rollouts.model.device_update import DeviceState, DeviceUpdate
from functions.rollouts.model.rollout import Block, Event, Firmware, Rollout, RolloutStatus
from functions.rollouts.rollout.pacing import Budget
from functions.rollouts.rollout.start_order import TargetDevice


@dataclass(frozen=True, slots=True)
class Stored[T]:
    """A record as it was read, with the version that it had."""

    record: T
    version: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A rollout as it was read, with those of its blocks that were read with or after it.

    The rollout's version guards them all: every write of a block writes the rollout too.
    """

    rollout: Rollout
    version: str
    blocks: Mapping[int, Block] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page[T]:
    """A part of a longer list; `cursor` asks for the next part, None after the last."""

    items: Sequence[T]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse:
    """Which request an idempotency key was first used for."""

    rollout_id: str
    body_hash: str
    used_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLock:
    """Which rollout has a device in hand, and since when."""

    rollout_id: str
    taken_at: datetime


class CursorError(ValueError):
    """A cursor that this store never gave out."""


class RolloutStore(Protocol):
    """Rollouts with their devices, and what the requests for them need."""

    # -- rollouts

    def add_rollout(self, rollout: Rollout, blocks: Sequence[Block] = ()) -> Snapshot:
        """Store a new rollout, with its blocks if there are some already, all or nothing.

        It is listed, and open, from then on. Raises LostRaceError if it exists.
        """

    def snapshot(self, rollout_id: str) -> Snapshot | None:
        """Read one rollout."""

    def with_blocks(self, snapshot: Snapshot, numbers: Sequence[int]) -> Snapshot:
        """Read blocks in addition; those read already are not read again.

        To be saved, all must have been read since the rollout was.
        """

    def save(
        self,
        snapshot: Snapshot,
        rollout: Rollout,
        blocks: Sequence[Block] = (),
        spilled: Sequence[Event] = (),
    ) -> Snapshot:
        """Write a changed rollout, changed or new blocks, and events that it no longer holds.

        All or nothing, so no more blocks than one transaction of the store holds; gives the
        snapshot as it is now. A rollout that is over is closed, one that is not is open. Raises
        LostRaceError.
        """

    def rollouts(
        self, status: RolloutStatus | None, limit: int, cursor: str | None
    ) -> Page[Rollout]:
        """List rollouts, newest first. Raises CursorError for a foreign cursor."""

    def open_rollout_ids(self) -> Sequence[str]:
        """The ids of all rollouts that are not over, newest first."""

    def blocks_with(self, rollout_id: str, states: Sequence[DeviceState]) -> Sequence[int]:
        """The numbers of the blocks that hold a device in one of these states."""

    def find(self, snapshot: Snapshot, device_id: str) -> DeviceUpdate | None:
        """Read one device update of a rollout."""

    def updates_page(
        self, snapshot: Snapshot, state: DeviceState | None, limit: int, cursor: str | None
    ) -> Page[DeviceUpdate]:
        """List device updates in the order of the start. Raises CursorError."""

    def device_ids(self, snapshot: Snapshot) -> Sequence[str]:
        """The ids of all devices of a rollout whose blocks are written."""

    def events(self, snapshot: Snapshot, limit: int, cursor: str | None) -> Page[Event]:
        """List the audit trail, oldest first. Raises CursorError for a foreign cursor."""

    # -- what a rollout's devices are gathered from

    def add_target_part(
        self, rollout_id: str, number: int, members: Sequence[TargetDevice]
    ) -> None:
        """Store one part of a target; the same part again replaces it."""

    def target_parts(self, rollout_id: str, first: int, end: int) -> Sequence[TargetDevice]:
        """The parts of a target from number `first` to before `end`, joined."""

    def add_history(self, rollout_id: str, places: Mapping[str, int]) -> None:
        """Store in which rollout, and which block of it, each device is; repeating is no harm."""

    def history(
        self, device_id: str, limit: int, cursor: str | None
    ) -> Page[tuple[Rollout, DeviceUpdate]]:
        """List the rollouts that a device took part in, newest first."""

    # -- firmware seen

    def remember_firmware(self, firmware: Firmware) -> None:
        """Keep where a version's package is; of several that name one version, one is kept."""

    def known_firmware(self, version: str) -> Firmware | None:
        """What an earlier rollout said of a version."""

    # -- the hub's quotas

    def pace(self) -> Stored[Budget] | None:
        """How much of the hub's quotas is left; None before the first timer."""

    def save_budget(self, pace: Budget, version: str | None) -> str:
        """Replace it, or create it without a version; gives the new one. Raises LostRaceError."""

    # -- devices in hand

    def hold(self, device_id: str) -> Stored[DeviceLock] | None:
        """Who has a device in hand, or had it last."""

    def add_device_lock(self, device_id: str, hold: DeviceLock) -> None:
        """Take a device that nobody ever held. Raises LostRaceError."""

    def save_device_lock(self, device_id: str, hold: Stored[DeviceLock]) -> None:
        """Take a device over from the holder that was read."""

    # -- idempotency keys

    def key_use(self, key: str) -> Stored[KeyUse] | None:
        """What an idempotency key was used for, if it was."""

    def use_key(self, key: str, use: KeyUse) -> Stored[KeyUse]:
        """Record the first use of an idempotency key. Raises LostRaceError if there was one."""

    def save_key(self, key: str, use: Stored[KeyUse]) -> Stored[KeyUse]:
        """Replace what is recorded of a key."""

    def release_key(self, key: str, use: Stored[KeyUse]) -> None:
        """Forget a key whose request stored nothing."""

    def ping(self) -> None:
        """Return if the store answers."""
