"""The newest rollout wins, per device: what a later rollout takes away from an earlier one.

Ids of rollouts sort newest first, so a rollout is later than another if its id is lower.
"""

from functions.rollouts.device import moves
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.rollout import Rollout, RolloutStatus

# The states in which an update may have left its device to earlier rollouts.
LEAVING = (DeviceState.QUEUED, DeviceState.CANCELLED, DeviceState.SKIPPED)


def takes_device(rollout: Rollout, update: DeviceUpdate) -> bool:
    """Return whether the rollout has reached the device of `update`, or is meant to reach it.

    A device that it failed counts as reached. A device that was cancelled or skipped before its
    method was sent is left to earlier rollouts, unless it ran the version already.
    """
    if update.state is DeviceState.SKIPPED:
        return update.skip_reason is SkipReason.ALREADY_RUNNING or update.attempts_used > 0
    is_cancelled = update.state is DeviceState.CANCELLED or (
        update.state is DeviceState.QUEUED and rollout.status is RolloutStatus.CANCELLED
    )
    return not is_cancelled or update.dispatched_at is not None


def may_leave_devices(rollout: Rollout) -> bool:
    """Return whether some device of the rollout may be left to earlier rollouts."""
    counts = rollout.counts
    is_cancelled = rollout.status is RolloutStatus.CANCELLED
    return bool(counts.skipped or counts.cancelled or (is_cancelled and counts.queued))


def skip(moment: Moment, update: DeviceUpdate, later_id: str) -> DeviceUpdate:
    """Skip an update because a later rollout has reached its device, or is meant to."""
    message = f"Skipped: rollout {later_id} was created later for this device, and the newest wins."
    return moves.skip(moment, update, SkipReason.SUPERSEDED, message)
