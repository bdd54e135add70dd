"""Keep the device ids of rollouts in memory, because a rollout's devices never change.

Only rollouts whose devices are shared with another open rollout are read, so that other rollouts
cost nothing.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock

from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollout_store.ports.stores import Stores

# Device ids kept in memory, about 100 bytes each.
MAX_KEPT_IDS = 400_000


@dataclass(frozen=True, slots=True)
class KnownDevices:
    """The device ids of the rollouts used last. Threads may share it."""

    _ids: OrderedDict[str, frozenset[str]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def read(self, stores: Stores, snapshot: Snapshot) -> frozenset[str]:
        """Return a rollout's device ids, as far as they are known.

        Raises StorageUnavailableError.
        """
        rollout = snapshot.rollout
        if rollout.resolution is not None:
            parts = stores.targets.get_parts(rollout.id, 0, rollout.resolution.parts)
            return frozenset(device.device_id for device in parts)
        with self._lock:
            known = self._ids.get(rollout.id)
            if known is not None:
                self._ids.move_to_end(rollout.id)
                return known
        found = frozenset(stores.targets.get_block_numbers(rollout.id))
        if rollout.waves:
            self._keep(rollout.id, found)
        return found

    def _keep(self, rollout_id: str, ids: frozenset[str]) -> None:
        with self._lock:
            self._ids[rollout_id] = ids
            while len(self._ids) > 1 and sum(map(len, self._ids.values())) > MAX_KEPT_IDS:
                self._ids.popitem(last=False)
