"""Tell whether an earlier attempt may be at work on a device that cannot refuse a second one.

A device that knows rollouts responds 409 while it is busy. A device that knows only the tutorial's
contract would start a second update beside the first. Such a device is not invoked again until it
reports an end: that it completed, failed or stands by. A device that is offline may be at work,
because an update goes on without a connection.
"""

from datetime import datetime, timedelta

from functions.rollouts.device import reports
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate

# A device that hangs never reports an end. This long after the method, no update of such a device
# is at work any more.
MAX_WORK = timedelta(hours=24)
_BEGUN = frozenset({DeviceState.ACCEPTED, DeviceState.DOWNLOADING, DeviceState.APPLYING})
_OTHERS_THAT_TELL = frozenset({DeviceState.DISPATCHING, DeviceState.SOAKING, DeviceState.COMPLETED})


def busy_until(update: DeviceUpdate, twin: DeviceTwin | None, now: datetime) -> datetime | None:
    """Return until when `update`'s latest attempt may be at work; None if it is at work no more.

    `twin` is the device's latest; None if it is not known. Always None for a device that responds
    409 while it is busy.
    """
    if update.dispatched_at is None or not _has_only_begun(update):
        return None
    if twin is not None and (reports.recognises_repeats(twin) or reports.shows_end(update, twin)):
        return None
    until = update.dispatched_at + MAX_WORK
    return until if now < until else None


def _has_only_begun(update: DeviceUpdate) -> bool:
    """Return whether the device began the latest attempt, and did not complete it."""
    telling = _BEGUN | _OTHERS_THAT_TELL
    last = next((line.state for line in reversed(update.history) if line.state in telling), None)
    return last in _BEGUN
