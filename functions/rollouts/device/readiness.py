"""Whether a direct method may be sent to a device, as far as its own record tells."""

from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.strategy import RetryOn


def may_send(moment: Moment, update: DeviceUpdate) -> bool:
    """Return whether a direct method may be sent at all. Checked again before each sending."""
    return update.state is DeviceState.QUEUED or is_repeatable(moment, update)


def is_repeatable(moment: Moment, update: DeviceUpdate) -> bool:
    """Return whether the same attempt may be sent again.

    It must be in doubt, and the device must be known to ignore repeats. A silent device uses up
    the strategy's attempts; a failure of the hub, or a device that was offline, does not.
    """
    retry = moment.strategy.retry
    has_attempts_left = update.delays > 0 or (
        RetryOn.UNREACHABLE in retry.on and update.attempts_used < retry.attempts
    )
    return (
        update.state is DeviceState.DISPATCHING
        and update.in_doubt
        and update.baseline.recognises_repeats
        and has_attempts_left
    )


def is_ready(moment: Moment, update: DeviceUpdate) -> bool:
    """Return whether nothing about the device itself delays its start."""
    if update.state is DeviceState.DISPATCHING:  # a repeat, once its twin was observed
        return update.observe_at is None and is_repeatable(moment, update)
    if update.state is not DeviceState.QUEUED:
        return False
    return not update.offline and (update.not_before is None or update.not_before <= moment.now)
