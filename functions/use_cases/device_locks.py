"""One rollout at a time for a device that cannot refuse a second one.

A device that knows rollouts answers 409 while it is busy. One that knows only the tutorial's
contract would start a second update beside the first, and its reports could not be told apart.
So before such a device is claimed, its hold is taken: a row that names the one rollout.
"""

from datetime import datetime

from functions.errors import LostRaceError
from functions.rollout_store.ports.device_locks import DeviceLock
from functions.rollout_store.ports.records import Stored
from functions.rollout_store.ports.stores import Stores
from functions.rollouts.device.invoking import CLAIM_DURATION
from functions.rollouts.model.device_state import DeviceState


def lock_device(stores: Stores, rollout_id: str, device_id: str, now: datetime) -> str | None:
    """Take the device for this rollout; gives the rollout that has it instead, if so.

    A hold needs no release: it is over when its rollout's update of the device has ended. One
    whose taker has not gone on to claim the device is over after a claim's lease.
    Raises StorageUnavailableError.
    """
    mine = DeviceLock(rollout_id=rollout_id, taken_at=now)
    held = stores.locks.get(device_id)
    try:
        if held is None:
            stores.locks.add(device_id, mine)
        elif held.record.rollout_id == rollout_id or _is_over(stores, device_id, held.record, now):
            stores.locks.save(device_id, Stored(mine, held.version))
        else:
            return held.record.rollout_id
    except LostRaceError:  # somebody was faster: who?
        return lock_device(stores, rollout_id, device_id, now)
    return None


def _is_over(stores: Stores, device_id: str, hold: DeviceLock, now: datetime) -> bool:
    lapsed = hold.taken_at + CLAIM_DURATION <= now
    snapshot = stores.rollouts.get(hold.rollout_id)
    if snapshot is None:  # it is being created, or died on the way
        return lapsed
    update = stores.rollouts.get_update(snapshot, device_id)
    if snapshot.rollout.is_over or update is None or update.state.ended:
        return True
    return lapsed and update.state is DeviceState.QUEUED
