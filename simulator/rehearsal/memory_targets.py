"""Store targets and histories of devices in memory, for one thread."""

from collections.abc import Collection, Mapping, Sequence
from itertools import chain

from functions.rollout_store.ports.records import Page
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.target import TargetDevice
from simulator.rehearsal.memory_records import page, to_text
from simulator.rehearsal.memory_rollouts import MemoryRolloutStore


class MemoryTargetStore:
    """Implement `functions.rollout_store.ports.targets.TargetStore`."""

    def __init__(self, rollouts: MemoryRolloutStore) -> None:
        self._rollouts = rollouts
        self._parts: dict[str, dict[int, tuple[TargetDevice, ...]]] = {}  # by id, by number

    def save_part(self, rollout_id: str, number: int, devices: Sequence[TargetDevice]) -> None:
        self._parts.setdefault(rollout_id, {})[number] = tuple(devices)

    def get_parts(self, rollout_id: str, first: int, end: int) -> Sequence[TargetDevice]:
        parts = self._parts.get(rollout_id, {})
        return list(chain.from_iterable(parts.get(number, ()) for number in range(first, end)))

    def remove_parts(self, rollout_id: str) -> None:
        """Remove the target of a rollout."""
        self._parts.pop(rollout_id, None)

    def save_history(self, rollout_id: str, block_numbers: Mapping[str, int]) -> None:
        self._rollouts.save_block_numbers(rollout_id, block_numbers)

    def add_history(self, rollout_id: str, block_numbers: Mapping[str, int]) -> None:
        self._rollouts.save_block_numbers(rollout_id, block_numbers)

    def get_block_numbers(
        self, rollout_id: str, device_ids: Collection[str] | None = None
    ) -> Mapping[str, int]:
        found = self._rollouts.get_block_numbers(rollout_id)
        wanted = found.keys() if device_ids is None else set(device_ids)
        return {device_id: number for device_id, number in found.items() if device_id in wanted}

    def find_later(
        self, rollout_id: str, device_ids: Collection[str]
    ) -> Mapping[str, frozenset[str]]:
        return self._rollouts.find_later(rollout_id, frozenset(device_ids))

    def list_history(
        self, device_id: str, limit: int, cursor: str | None
    ) -> Page[tuple[Rollout, DeviceUpdate]]:
        found = self._rollouts.find_with_device(device_id, to_text("history", cursor))
        return page("history", ((entry[0].id, entry) for entry in found), limit)
