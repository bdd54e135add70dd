"""Compute when a device update times out, and when waiting for its device ends."""

from datetime import datetime, timedelta

from functions.rollouts.device import fair_time
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_state import IN_FLIGHT, DeviceState
from functions.rollouts.model.device_update import DeviceUpdate

# The states of a device that has accepted the method, and is still updating.
_ACCEPTED = IN_FLIGHT - {DeviceState.DISPATCHING}


def has_come(moment: Moment, time: datetime | None) -> bool:
    """Return whether `time` is now or in the past; False for None."""
    return time is not None and time <= moment.now


def timeout_at(moment: Moment, update: DeviceUpdate) -> datetime | None:
    """Return when an accepted update times out; None if its device has not accepted it."""
    if update.accepted_at is None or update.state not in _ACCEPTED:
        return None
    end = update.accepted_at + moment.strategy.timeout
    if not moment.rollout.outages:
        return end
    return fair_time.extend(moment, update, update.accepted_at, end)


def begin_wait(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
    """Begin to wait for a device; a wait that has begun goes on."""
    if update.waiting_since is not None:
        return update
    return update._replace(waiting_since=moment.now, waiting_from=moment.startable)


def deadline(moment: Moment, update: DeviceUpdate) -> datetime:
    """Return when waiting for a device ends, if its rollout may start devices until then.

    Only time in which the device might have started counts.
    """
    end = moment.now + moment.strategy.offline.deadline - _waited(moment, update)
    return fair_time.no_earlier_than(moment, update, update.waiting_since, end)


def _waited(moment: Moment, update: DeviceUpdate) -> timedelta:
    if update.waiting_since is None:
        return timedelta()
    if update.waiting_from is None:
        return moment.now - update.waiting_since
    return moment.startable - update.waiting_from
