"""The port for what connects rollouts and devices: target parts and device history."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from functions.rollout_store.ports.records import Page
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.target import TargetDevice

MAX_DEVICES_PER_TARGET_PART = 2_000


class TargetStore(Protocol):
    """Store the target devices of large rollouts in numbered parts, and each device's rollouts."""

    def save_part(self, rollout_id: str, number: int, devices: Sequence[TargetDevice]) -> None:
        """Store one part of a target, or replace the part with this number."""

    def get_parts(self, rollout_id: str, first: int, end: int) -> Sequence[TargetDevice]:
        """Read the devices of the parts `first` to `end - 1`, in order."""

    def save_history(self, rollout_id: str, block_numbers: Mapping[str, int]) -> None:
        """Store in which block each device of a rollout is, by device id. A repeat changes nothing.

        Call it with all devices, before the blocks are stored.
        """

    def add_history(self, rollout_id: str, block_numbers: Mapping[str, int]) -> None:
        """Add devices that join a rollout, as `save_history`. Callers may do so at the same time.

        Call it before the blocks are stored. Raises LostRaceError if others were faster each time.
        """

    def get_block_numbers(
        self, rollout_id: str, device_ids: Collection[str] | None = None
    ) -> Mapping[str, int]:
        """Return in which block each device of a rollout is, by device id.

        With `device_ids`, only of these; ids of other devices are left out. Empty before
        `save_history`.
        """

    def find_later(
        self, rollout_id: str, device_ids: Collection[str]
    ) -> Mapping[str, frozenset[str]]:
        """Find the rollouts that were created after a rollout and have some of these devices.

        Return their devices among `device_ids`, by rollout id, newest first. A rollout may be in
        creation. A rollout whose history is not saved yet is not found.
        """

    def list_history(
        self, device_id: str, limit: int, cursor: str | None
    ) -> Page[tuple[Rollout, DeviceUpdate]]:
        """List the stored rollouts with this device, newest first. Raises CursorError."""
