"""Lock a device that cannot refuse a second update, so that one rollout at a time updates it.

A device that knows rollouts responds 409 while it is busy. A device that knows only the tutorial's
contract would start a second update beside the first, and nothing in its reports would tell the
two apart. A dispatcher therefore locks such a device before it claims it: a row names the rollout.
A lock needs no release: it ends when the rollout's update of the device ends and is not at work any
more, or CLAIM_DURATION after it was taken if no claim followed.
"""

from datetime import datetime

from functions.errors import LostRaceError
from functions.rollout_store.ports.device_locks import DeviceLock
from functions.rollout_store.ports.records import Stored
from functions.rollout_store.ports.stores import Stores
from functions.rollouts.device import earlier_attempts
from functions.rollouts.device.invoking import CLAIM_DURATION
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_twin import DeviceTwin

# A claim that is stored this soon after its locks finds them in force: another rollout takes a lock
# over only after CLAIM_DURATION, and clocks differ by less than the rest.
MAX_UNCHECKED = CLAIM_DURATION / 3


def lock_device(
    stores: Stores, rollout_id: str, device_id: str, now: datetime, twin: DeviceTwin | None = None
) -> str | None:
    """Lock the device for this rollout. Return the other rollout if one has the lock, else None.

    `now` is the time of this call, from which the lock counts. `twin` is the device's latest; it
    may show that the other rollout's update is at work no more. Raises StorageUnavailableError.
    """
    own = DeviceLock(rollout_id=rollout_id, taken_at=now)
    stored = stores.locks.get(device_id)
    try:
        if stored is None:
            stores.locks.add(device_id, own)
        elif stored.record.rollout_id == rollout_id or _has_ended(
            stores, device_id, stored.record, now, twin
        ):
            stores.locks.save(device_id, Stored(own, stored.version))
        else:
            return stored.record.rollout_id
    except LostRaceError:  # another dispatcher locked it first: read which one
        return lock_device(stores, rollout_id, device_id, now, twin)
    return None


def _has_ended(
    stores: Stores, device_id: str, lock: DeviceLock, now: datetime, twin: DeviceTwin | None
) -> bool:
    expired = lock.taken_at + CLAIM_DURATION <= now
    snapshot = stores.rollouts.get(lock.rollout_id)
    if snapshot is None:  # the rollout is being created, or its creation crashed
        return expired
    update = stores.rollouts.get_update(snapshot, device_id)
    if update is None:
        return True
    if earlier_attempts.busy_until(update, twin, now) is not None:
        return False
    if snapshot.rollout.is_over or update.state.ended:
        return True
    return expired and update.state is DeviceState.QUEUED
