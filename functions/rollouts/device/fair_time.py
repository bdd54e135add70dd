"""Keep an outage from ending a device's update: deadlines wait, and then leave a fair time.

While an outage that concerns the device lasts, no timeout, soak or deadline ends its update. After
an ambient outage, whose beginning is not known, a device that was under way has its whole timeout
or soak again: its download may have to begin anew. A hub's outage, or a wait for the day's
messages, is known from beginning to end, so that it only prolongs the timeout. After all of them,
the device has MIN_FAIR_TIME to reconnect.

Ambient outages that come again and again prolong an update by the offline deadline at most, and
then by the whole time once more. Otherwise a rollout whose device never returns would not end.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.outage import AMBIENT, RECHECK, Outage

# Devices reconnect with growing pauses, and the hub's connection state is minutes late.
MIN_FAIR_TIME = timedelta(minutes=10)


def extend(moment: Moment, update: DeviceUpdate, since: datetime | None, end: datetime) -> datetime:
    """Return the end of a time that runs for the update since `since`, with outages left out."""
    if not moment.rollout.outages or since is None:
        return end
    for outage in _outages_since(moment, update, since):
        if outage.code != AMBIENT:
            end += (outage.until or moment.now) - max(outage.since, since)
    again = max(_again(moment, update), MIN_FAIR_TIME)
    latest = end + moment.strategy.offline.deadline + again
    return min(latest, no_earlier_than(moment, update, since, end))


def no_earlier_than(
    moment: Moment, update: DeviceUpdate, since: datetime | None, end: datetime
) -> datetime:
    """Return `end`, or the end of the fair time after the outages since `since` if it is later."""
    if not moment.rollout.outages or since is None:
        return end
    for outage in _outages_since(moment, update, since):
        if outage.until is None:
            end = max(end, moment.now + RECHECK)
        else:
            again = _again(moment, update) if outage.code == AMBIENT else timedelta()
            end = max(end, outage.until + max(again, MIN_FAIR_TIME))
    return end


def is_in_outage(moment: Moment, update: DeviceUpdate) -> bool:
    """Return whether an outage that concerns the device lasts, or its fair time does."""
    since = update.dispatched_at or update.waiting_since or update.queued_at
    return no_earlier_than(moment, update, since, moment.now) > moment.now


def _outages_since(moment: Moment, update: DeviceUpdate, since: datetime) -> Iterator[Outage]:
    for outage in moment.rollout.outages:
        if outage.concerns(update) and (outage.until is None or outage.until > since):
            yield outage


def _again(moment: Moment, update: DeviceUpdate) -> timedelta:
    if update.state is DeviceState.SOAKING:
        return moment.strategy.soak
    is_running = update.state.in_flight and update.state is not DeviceState.DISPATCHING
    return moment.strategy.timeout if is_running else timedelta()
