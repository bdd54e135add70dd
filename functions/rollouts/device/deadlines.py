"""Compute when a device update times out, and when waiting for its device ends."""

from datetime import datetime

from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate


def has_come(moment: Moment, time: datetime | None) -> bool:
    """Return whether `time` is now or in the past; False for None."""
    return time is not None and time <= moment.now


def timeout_at(moment: Moment, update: DeviceUpdate) -> datetime | None:
    """Return when an accepted update times out; None if its device has not accepted it."""
    is_running = DeviceState.ACCEPTED.rank <= update.state.rank < DeviceState.SOAKING.rank
    accepted_at = update.accepted_at if is_running else None
    return accepted_at + moment.strategy.timeout if accepted_at else None


def deadline(moment: Moment, update: DeviceUpdate) -> datetime:
    """Return when waiting for a device ends."""
    return (update.waiting_since or moment.now) + moment.strategy.offline.deadline
