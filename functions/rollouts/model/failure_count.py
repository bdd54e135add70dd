"""How many devices of a rollout have failed with one error code."""

from dataclasses import dataclass

from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.rollouts.model.device_update import DeviceUpdate


@dataclass(frozen=True, slots=True)
class FailureCount:
    """The failures with one code."""

    code: ErrorCode  # this app's own; the device's words are in the message of its error
    count: int  # at least 1
    # The id of a device that has failed with the code. None: the last known one has moved on, and
    # another one is found only by reading the devices.
    example: str | None


def failure_code(update: DeviceUpdate) -> ErrorCode | None:
    """Return why an update has failed; None if it has not."""
    if update.state is not DeviceState.FAILED or update.error is None:
        return None
    return ErrorCode(update.error.code)
