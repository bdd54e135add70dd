"""Keep the device ids of rollouts in memory. They change only when devices join.

A rollout that no device can join any more is read once, however many rollouts are created while
it is open; one that this process has created is not read at all.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollout_store.ports.stores import Stores
from functions.rollouts.model.block import Block
from functions.rollouts.model.rollout import Rollout

# Device ids kept in memory, about 100 bytes each.
MAX_KEPT_IDS = 400_000
# What a rollout itself takes, in ids.
_ROLLOUT = 5


@dataclass(frozen=True, slots=True)
class _Kept:
    """The device ids of one rollout."""

    total: int  # devices that the rollout had when they were read
    ids: frozenset[str]
    is_final: bool  # no device can join

    @property
    def size(self) -> int:
        return len(self.ids) + _ROLLOUT


class KnownDevices:
    """The device ids of the rollouts used last. Threads may share it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._size = 0  # of all that is kept
        self._lock = Lock()

    def read(self, stores: Stores, snapshot: Snapshot) -> frozenset[str]:
        """Return a rollout's device ids, as far as they are known, with those that join next.

        Raises StorageUnavailableError.
        """
        rollout = snapshot.rollout
        if rollout.resolution is not None:
            parts = stores.targets.get_parts(rollout.id, 0, rollout.resolution.parts)
            return frozenset(device.device_id for device in parts)
        ids = self._read_stored(stores, snapshot)
        found = rollout.joining.found
        return ids.union(device.device_id for device in found) if found else ids

    def keep(self, rollout: Rollout, blocks: Sequence[Block]) -> None:
        """Keep the device ids of a rollout that was just stored with all of its blocks."""
        if rollout.waves:
            ids = frozenset(update.device_id for block in blocks for update in block.updates)
            self._keep(rollout, ids)

    def has_none_of(self, rollout_id: str, device_ids: frozenset[str]) -> bool:
        """Return whether it is known that a rollout has none of the devices, and will have none."""
        with self._lock:
            kept = self._kept.get(rollout_id)
            if kept is None or not kept.is_final:
                return False
            self._kept.move_to_end(rollout_id)
            return kept.ids.isdisjoint(device_ids)

    def _read_stored(self, stores: Stores, snapshot: Snapshot) -> frozenset[str]:
        rollout = snapshot.rollout
        with self._lock:
            kept = self._kept.get(rollout.id)
            if kept is not None and kept.total == rollout.total:
                self._kept.move_to_end(rollout.id)
                return kept.ids
        if len(rollout.block_summaries) == 1:  # its own row holds them
            ids = frozenset(stores.rollouts.list_device_ids(snapshot))
        else:
            ids = frozenset(stores.targets.get_block_numbers(rollout.id))
        if rollout.waves:
            self._keep(rollout, ids)
        return ids

    def _keep(self, rollout: Rollout, ids: frozenset[str]) -> None:
        is_final = not rollout.definition.target.joiners
        with self._lock:
            self._forget(rollout.id)
            self._kept[rollout.id] = kept = _Kept(rollout.total, ids, is_final)
            self._size += kept.size
            while len(self._kept) > 1 and self._size > MAX_KEPT_IDS:
                self._forget(next(iter(self._kept)))

    def _forget(self, rollout_id: str) -> None:
        kept = self._kept.pop(rollout_id, None)
        self._size -= kept.size if kept else 0
