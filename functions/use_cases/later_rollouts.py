"""Find the later rollouts of devices: the newest rollout wins, per device.

A rollout stores its history before its own row, so its devices are found by their history from the
moment at which it exists. While the target of a large rollout is resolved, the devices known so
far are those of its target's parts.
"""

from collections.abc import Collection, Iterable, Mapping

from functions.rollout_store.ports.rollouts import RolloutStore, Snapshot
from functions.rollout_store.ports.stores import Stores
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.rollout import superseding
from functions.use_cases.known_devices import KnownDevices
from functions.use_cases.services import Services


def find_superseding(
    stores: Stores, rollout_id: str, device_ids: Collection[str], ignore: Collection[str] = ()
) -> Mapping[str, str]:
    """Find the devices that later rollouts have reached, or are meant to reach.

    Return the newest such rollout's id, by device id. `ignore` are ids of rollouts that do not
    count. Raises StorageUnavailableError.
    """
    later = find_later(stores, rollout_id, device_ids)
    return _take_newest(stores, {key: later[key] for key in later.keys() - set(ignore)})


def find_later(
    stores: Stores, rollout_id: str, device_ids: Collection[str]
) -> Mapping[str, frozenset[str]]:
    """Return those of the devices that each later rollout has, by rollout id."""
    wanted = frozenset(device_ids)
    found = dict(stores.targets.find_later(rollout_id, wanted)) if wanted else {}
    for later_id in stores.rollouts.list_open_ids():
        if later_id in found or later_id >= rollout_id:
            continue
        snapshot = stores.rollouts.get(later_id)
        if snapshot is None or snapshot.rollout.resolution is None:
            continue
        devices = wanted & KnownDevices().read(stores, snapshot)
        if devices:
            found[later_id] = devices
    return found


def find_superseding_open(
    services: Services, rollout: Rollout, device_ids: Collection[str]
) -> Mapping[str, str]:
    """Find what `find_superseding` does for an open rollout, whose record names the later ones.

    Reads nothing if it names none.
    """
    stores, wanted = services.stores, frozenset(device_ids)
    if not rollout.later.ids or not wanted:
        return {}
    snapshots = [stores.rollouts.get(later_id) for later_id in rollout.later.ids]
    shared = {
        snapshot.rollout.id: wanted & services.known_devices.read(stores, snapshot)
        for snapshot in snapshots
        if snapshot is not None
    }
    return _take_newest(stores, shared)


def skip_queued(
    services: Services,
    moment: Moment,
    rollout: Rollout,
    before: Mapping[int, Block],
    after: Mapping[int, Block],
) -> Mapping[int, Block]:
    """Skip the devices that a change leaves queued although a later rollout has them.

    `before` and `after` are blocks by number. Devices that the change leaves alone are not read.
    """
    if not rollout.later.ids:
        return after
    changed: list[DeviceUpdate] = []
    for number, block in after.items():
        old = before[number].updates if number in before else ()
        pairs = zip(old, block.updates, strict=False)
        changed += [new for was, new in pairs if new is not was]
        changed += block.updates[len(old) :]  # devices that join
    return skip_superseded(services, moment, rollout, after, changed)[0]


def skip_superseded(
    services: Services,
    moment: Moment,
    rollout: Rollout,
    blocks: Mapping[int, Block],
    updates: Iterable[DeviceUpdate],
) -> tuple[Mapping[int, Block], Mapping[str, str]]:
    """Skip those of the `updates` in `blocks` that are queued and that a later rollout has.

    Return the blocks, and the later rollouts by device id. A cancelled rollout cancels its queued
    devices instead.
    """
    if rollout.status is RolloutStatus.CANCELLED:
        return blocks, {}
    queued = [item.device_id for item in updates if item.state is DeviceState.QUEUED]
    found = find_superseding_open(services, rollout, queued)

    def skip(update: DeviceUpdate) -> DeviceUpdate:
        later_id = found.get(update.device_id)
        return superseding.skip(moment, update, later_id) if later_id else update

    return {number: block.apply(skip) for number, block in blocks.items()}, found


def _take_newest(stores: Stores, shared: Mapping[str, frozenset[str]]) -> Mapping[str, str]:
    """Return the newest rollout that takes each device. `shared` are devices by rollout id."""
    found: dict[str, str] = {}
    for later_id in sorted(shared):
        devices = shared[later_id] - found.keys()
        snapshot = stores.rollouts.get(later_id) if devices else None
        if snapshot is not None:  # else it is being created, or its creation crashed
            taken = devices - _find_left_devices(stores.rollouts, snapshot, devices)
            found |= dict.fromkeys(taken, later_id)
    return found


def _find_left_devices(
    store: RolloutStore, snapshot: Snapshot, device_ids: frozenset[str]
) -> frozenset[str]:
    """Return those of a rollout's devices that it leaves to earlier rollouts."""
    rollout = snapshot.rollout
    if rollout.resolution is not None:
        return frozenset()
    if not rollout.waves:  # it ended before its devices were known
        return device_ids
    if not superseding.may_leave_devices(rollout):
        return frozenset()
    left: set[str] = set()
    for number in store.list_blocks_with(rollout.id, superseding.LEAVING):
        blocks = store.get_blocks(snapshot, [number]).blocks
        updates = blocks[number].updates if number in blocks else ()
        left.update(
            item.device_id for item in updates if not superseding.takes_device(rollout, item)
        )
    return device_ids & left
