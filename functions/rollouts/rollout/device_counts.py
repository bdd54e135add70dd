"""What a device update counts as, besides its state."""

from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.rollout import start_ranks


def runs_already(update: DeviceUpdate) -> bool:
    """Return whether the update is skipped because its device ran the version before."""
    is_skipped = update.state is DeviceState.SKIPPED
    return is_skipped and update.skip_reason is SkipReason.ALREADY_RUNNING


def failed_to_start(update: DeviceUpdate) -> bool:
    """Return whether the update failed before its device had accepted the method."""
    return update.state is DeviceState.FAILED and not start_ranks.is_firmware_failure(update)
