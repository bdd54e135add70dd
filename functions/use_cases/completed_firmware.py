"""Find what devices themselves completed with before a rollout: package, hash and manifest.

The version's name alone does not tell the package: another rollout may have used the name for
another package. So the records of earlier rollouts are read, newest first, until each device is
found. The cost depends on the number of rollouts and of their blocks, not on the number of devices.
"""

from collections.abc import Iterator, Mapping

from functions.rollout_store.ports.rollouts import RolloutStore
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.rollout import Rollout
from functions.use_cases.undone_devices import UndoneDevice

# Earlier rollouts whose records are read; their blocks only if they may have what is wanted.
MAX_SEARCHED = 500
_PAGE = 50


def find_completed(
    store: RolloutStore, undone_id: str, devices: Mapping[str, UndoneDevice]
) -> Mapping[str, Firmware]:
    """Find the firmware that each device completed before the undone rollout, by device id.

    It has the version that the device reported before the undone update; where the device reported
    none, it is what the device completed last. Devices that are not found are missing. Raises
    StorageUnavailableError.
    """
    left = dict(devices)
    found: dict[str, Firmware] = {}
    for rollout in _list_earlier(store, undone_id):
        if not left:
            break
        wanted = {item.update.previous_version for item in left.values()}
        if not rollout.counts.completed or not _may_have(rollout, wanted):
            continue
        for device_id, firmware in _read_completed(store, rollout.id):
            if device_id in left and _is_wanted(left[device_id], firmware):
                found[device_id] = firmware
                del left[device_id]
    return found


def _may_have(rollout: Rollout, wanted: set[str | None]) -> bool:
    return None in wanted or any(
        name is not None and item.is_named(name) for item in rollout.packages for name in wanted
    )


def _is_wanted(device: UndoneDevice, firmware: Firmware) -> bool:
    previous = device.update.previous_version
    if previous is None:
        return firmware.version != device.firmware.version
    return firmware.is_named(previous)


def _list_earlier(store: RolloutStore, rollout_id: str) -> Iterator[Rollout]:
    """List rollouts that were created before this one, newest first."""
    listed, cursor = 0, None
    while True:
        page = store.list_rollouts(None, _PAGE, cursor)
        earlier = [item for item in page.items if item.id > rollout_id]
        yield from earlier
        listed, cursor = listed + len(earlier), page.cursor
        if cursor is None or listed >= MAX_SEARCHED:
            return


def _read_completed(store: RolloutStore, rollout_id: str) -> Iterator[tuple[str, Firmware]]:
    """Read the devices that completed in a rollout, with the firmware of each."""
    snapshot = store.get(rollout_id)
    if snapshot is None:
        return
    for number in store.list_blocks_with(rollout_id, [DeviceState.COMPLETED]):
        for update in store.get_blocks(snapshot, [number]).updates_of(number):
            if update.state is DeviceState.COMPLETED:
                yield update.device_id, snapshot.rollout.firmware_for(update)
