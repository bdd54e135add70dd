"""One rollout at a time for a device that cannot refuse a second one.

A device that knows rollouts answers 409 while it is busy. One that knows only the tutorial's
contract would start a second update beside the first, and its reports could not be told apart.
So before such a device is claimed, its hold is taken: a row that names the one rollout.
"""

from functions.errors import LostRaceError
from functions.rollout_store.port import Hold, RolloutStore, Stored
from functions.rollouts.engine import CLAIM_LEASE, Engine
from functions.rollouts.model import DeviceState


def taken_by_another(store: RolloutStore, engine: Engine, device_id: str) -> str | None:
    """Take the device for the engine's rollout; gives the rollout that has it instead, if so.

    A hold needs no release: it is over when its rollout's update of the device has ended. One
    whose taker has not gone on to claim the device is over after a claim's lease.
    Raises StorageUnavailableError.
    """
    mine = Hold(rollout_id=engine.rollout.id, taken_at=engine.now)
    held = store.hold(device_id)
    try:
        if held is None:
            store.add_hold(device_id, mine)
        elif held.record.rollout_id == mine.rollout_id or _is_over(
            store, engine, device_id, held.record
        ):
            store.save_hold(device_id, Stored(mine, held.version))
        else:
            return held.record.rollout_id
    except LostRaceError:
        return "that was faster"
    return None


def _is_over(store: RolloutStore, engine: Engine, device_id: str, hold: Hold) -> bool:
    lapsed = hold.taken_at + CLAIM_LEASE <= engine.now
    rollout = store.rollout(hold.rollout_id)
    if rollout is None:  # it is being created, or died on the way
        return lapsed
    update = store.update(hold.rollout_id, device_id)
    if rollout.record.status.ended or update is None or update.record.state.ended:
        return True
    return lapsed and update.record.state is DeviceState.QUEUED
