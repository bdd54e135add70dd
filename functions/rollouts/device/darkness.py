"""Decide that a device went dark. The hub's connection state alone is only a hint.

It is minutes late, and sometimes wrong (Microsoft Learn, "Monitor device connection status"). So a
device is dark only if two observations, `CONFIRMATION` apart, found it offline, and the hub knows
of no activity since the first one.
"""

from datetime import datetime, timedelta

from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate

CONFIRMATION = timedelta(minutes=2)


def is_alive(twin: DeviceTwin, since: datetime | None) -> bool:
    """Return whether the device is connected, or was active after `since`."""
    was_active = since is not None and twin.active_at is not None and twin.active_at > since
    return twin.connected or was_active


def confirmed_at(moment: Moment, update: DeviceUpdate) -> datetime:
    """Return when a second observation that finds the device offline confirms the first one."""
    return (update.dark_since or moment.now) + CONFIRMATION
