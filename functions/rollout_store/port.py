"""What the use cases need of a store, in this project's own words.

Everything read comes with a version. A save gives the version back and raises LostRaceError when
the record was changed in between. All methods raise StorageUnavailableError.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from functions.rollouts.model import DeviceState, DeviceUpdate, Rollout, RolloutStatus


@dataclass(frozen=True, slots=True)
class Stored[T]:
    """A record as it was read, with the version that it had."""

    record: T
    version: str


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
class Hold:
    """Which rollout has a device in hand, and since when."""

    rollout_id: str
    taken_at: datetime


class CursorError(ValueError):
    """A cursor that this store never gave out."""


class RolloutStore(Protocol):
    """Rollouts, their device updates, and the idempotency keys of the requests for them."""

    def add_updates(
        self, rollout_id: str, updates: Sequence[DeviceUpdate]
    ) -> Sequence[Stored[DeviceUpdate]]:
        """Store the device updates of a new rollout; nobody sees them before `add_rollout`."""

    def add_rollout(self, rollout: Rollout) -> None:
        """Store the rollout itself: with that, it exists. Raises LostRaceError if it does."""

    def rollout(self, rollout_id: str) -> Stored[Rollout] | None:
        """Read one rollout."""

    def rollouts(
        self, status: RolloutStatus | None, limit: int, cursor: str | None
    ) -> Page[Rollout]:
        """List rollouts, newest first. Raises CursorError for a foreign cursor."""

    def open_rollout_ids(self) -> Sequence[str]:
        """The ids of all rollouts that have not ended, newest first."""

    def save_rollout(self, rollout: Stored[Rollout]) -> None:
        """Write a changed rollout."""

    def update(self, rollout_id: str, device_id: str) -> Stored[DeviceUpdate] | None:
        """Read one device update."""

    def updates(self, rollout_id: str) -> Sequence[Stored[DeviceUpdate]]:
        """All device updates of a rollout, by device id."""

    def updates_page(
        self, rollout_id: str, state: DeviceState | None, limit: int, cursor: str | None
    ) -> Page[DeviceUpdate]:
        """List device updates by device id. Raises CursorError for a foreign cursor."""

    def states(self, rollout_id: str) -> Sequence[DeviceState]:
        """The state of every device update of a rollout; cheaper than reading them whole."""

    def save_updates(
        self, rollout_id: str, updates: Sequence[Stored[DeviceUpdate]]
    ) -> Sequence[Stored[DeviceUpdate] | None]:
        """Write changed device updates, each alone: None stands where the race was lost."""

    def history(
        self, device_id: str, limit: int, cursor: str | None
    ) -> Page[tuple[Rollout, DeviceUpdate]]:
        """List the rollouts that a device took part in, newest first."""

    def hold(self, device_id: str) -> Stored[Hold] | None:
        """Who has a device in hand, or had it last."""

    def add_hold(self, device_id: str, hold: Hold) -> None:
        """Take a device that nobody ever held. Raises LostRaceError."""

    def save_hold(self, device_id: str, hold: Stored[Hold]) -> None:
        """Take a device over from the holder that was read."""

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
