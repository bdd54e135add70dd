"""Find the later rollouts of devices: the newest rollout wins, per device.

A rollout stores its history before its own row, so its devices are found by their history from the
moment at which it exists. While the target of a large rollout is resolved, the devices known so
far are those of its target's parts.
"""

from collections.abc import Collection, Mapping

from functions.rollout_store.ports.rollouts import RolloutStore, Snapshot
from functions.rollout_store.ports.stores import Stores
from functions.rollouts.rollout.superseding import LEAVING, may_leave_devices, takes_device


def find_superseding(
    stores: Stores, rollout_id: str, device_ids: Collection[str], ignore: Collection[str] = ()
) -> Mapping[str, str]:
    """Find the devices that later rollouts have reached, or are meant to reach.

    Return the newest such rollout's id, by device id. `ignore` are ids of rollouts that do not
    count. Raises StorageUnavailableError.
    """
    later = _find_later(stores, rollout_id, frozenset(device_ids))
    found: dict[str, str] = {}
    for later_id in sorted(later.keys() - set(ignore)):
        snapshot = stores.rollouts.get(later_id)
        if snapshot is None:  # the rollout is being created, or its creation crashed
            continue
        taken = later[later_id] - found.keys()
        for device_id in taken - find_left_devices(stores.rollouts, snapshot, taken):
            found[device_id] = later_id
    return found


def find_left_devices(
    store: RolloutStore, snapshot: Snapshot, device_ids: frozenset[str]
) -> frozenset[str]:
    """Return those of a rollout's devices that it leaves to earlier rollouts."""
    rollout = snapshot.rollout
    if rollout.resolution is not None:
        return frozenset()
    if not rollout.waves:  # it ended before its devices were known
        return device_ids
    if not may_leave_devices(rollout):
        return frozenset()
    left: set[str] = set()
    for number in store.list_blocks_with(rollout.id, LEAVING):
        blocks = store.get_blocks(snapshot, [number]).blocks
        updates = blocks[number].updates if number in blocks else ()
        left.update(item.device_id for item in updates if not takes_device(rollout, item))
    return device_ids & left


def _find_later(
    stores: Stores, rollout_id: str, device_ids: frozenset[str]
) -> Mapping[str, frozenset[str]]:
    """Return the devices that each later rollout has, by rollout id."""
    found = dict(stores.targets.find_later(rollout_id, device_ids)) if device_ids else {}
    for later_id in stores.rollouts.list_open_ids():
        if later_id < rollout_id and later_id not in found:
            devices = device_ids & read_known_target(stores, later_id)
            if devices:
                found[later_id] = devices
    return found


def read_known_target(stores: Stores, rollout_id: str) -> frozenset[str]:
    """Return the devices known so far of a rollout whose target is being resolved; else none."""
    snapshot = stores.rollouts.get(rollout_id)
    resolution = snapshot.rollout.resolution if snapshot else None
    if resolution is None:
        return frozenset()
    parts = stores.targets.get_parts(rollout_id, 0, resolution.parts)
    return frozenset(device.device_id for device in parts)
