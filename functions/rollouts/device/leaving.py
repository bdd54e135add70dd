"""Leave out a device that is gone: deleted from the hub's identity registry, or disabled in it.

    any state before an end --disabled, or missing in two reads--> skipped

A device that is gone is not the firmware's failure, so no gate counts it and nothing waits for it.
The hub says now and then that it does not know a device that it knows, and finds a new identity
only after seconds. Therefore only a twin read tells that a device is gone, never a query or the
response to a method, and a missing device is read a second time.
"""

from datetime import timedelta

from functions.rollouts.device.moment import Moment
from functions.rollouts.device.moves import skip
from functions.rollouts.model import texts
from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate

# Between the two reads. Less than the default schedule's interval, or the second read would wait
# for two ticks.
CONFIRMATION_WAIT = timedelta(seconds=5)


def is_gone(twin: DeviceTwin | None) -> bool:
    """Return whether a read says that its device is gone; None: it did not find the device."""
    return twin is None or not twin.enabled


def leave_if_gone(moment: Moment, update: DeviceUpdate, twin: DeviceTwin | None) -> DeviceUpdate:
    """Skip the update if its device is gone, by a twin that was read just now.

    `twin` is None if the hub does not know the device. After the first such read, the update only
    waits for the second one.
    """
    if update.state.ended:
        return update
    if twin is None:
        return _record_missing(moment, update)
    if not twin.enabled:
        message = "Skipped: the device is disabled in the hub."
        return skip(moment, update, SkipReason.DEVICE_DISABLED, message)
    return update if update.missing_since is None else update._replace(missing_since=None)


def suspect_missing(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
    """Record that the hub did not find the device now, and have its twin read again soon."""
    again = moment.now + CONFIRMATION_WAIT
    is_queued = update.state is DeviceState.QUEUED and update.observe_at is None
    return update._replace(
        missing_since=update.missing_since or moment.now,
        not_before=again if is_queued else update.not_before,
        observe_at=update.observe_at if is_queued else again,
        updated_at=moment.now,
        explanation="The hub does not know the device; its twin is read again to confirm it.",
    )


def _record_missing(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
    since = update.missing_since
    if since is None or moment.now < since + CONFIRMATION_WAIT:
        return suspect_missing(moment, update)
    times = f"{texts.utc_time(since)} and {texts.utc_time(moment.now)}"
    message = f"Skipped: the hub does not know the device. Its twin was not found at {times}."
    return skip(moment, update, SkipReason.DEVICE_REMOVED, message)
