"""When a device is worth an observation, and how fresh that observation must be.

All intervals between observations are defined here. If few devices are in flight, each is observed
in every tick. If many are, a device is observed when it may have news: after the time that devices
of this rollout usually take, then each time another quarter of its time has passed.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from functions.rollouts.device import readiness
from functions.rollouts.device.darkness import CONFIRMATION
from functions.rollouts.device.deadlines import has_come, timeout_at
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_state import ENDED, DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.outage import DAILY_QUOTA
from functions.rollouts.model.rollout import Rollout

# Devices in flight that are each observed in every tick. More are observed when they may have news.
MAX_OBSERVED_EVERY_TICK = 20
# From this many finished devices on, the mean of their durations is the usual one.
MIN_FINISHED = 5
# Less than the default schedule's interval, or an observation would fall right after a tick.
MIN_INTERVAL = timedelta(seconds=5)
# A device without news is observed again after this part of the time since its method.
_INTERVAL_SHARE = 0.25
# How long a waiting device is observed in every tick; later only when an attempt is due.
CLOSE_WATCH = timedelta(minutes=5)
# If a device waits for longer than this to be invoked again, its twin is read again.
REPEAT_PATIENCE = timedelta(minutes=2)
# Observations in one soak: what goes wrong in a long soak must stop the other devices.
SOAK_OBSERVATIONS = 4
# A search for reported failures costs a query, and queries are scarce: it is sent in every second
# tick while it is worth its cost, that is once for five devices that started. After that, each time
# another quarter of the time since the latest start has passed.
MIN_SEARCH_INTERVAL = timedelta(seconds=15)
DEVICES_PER_SEARCH = 5
# States of updates that need attention only if they have a time of their own.
_IDLE = ENDED | {DeviceState.QUEUED}
# Blocks with something due that one tick takes on for one rollout.
MAX_DUE_BLOCKS = 200


def is_crowded(moment: Moment) -> bool:
    """Return whether too many devices are in flight to observe each in every tick."""
    return moment.updating > MAX_OBSERVED_EVERY_TICK


def usual_duration(moment: Moment) -> timedelta | None:
    """Return how long devices usually take from the method to their last report.

    None if too few have finished.
    """
    measured = moment.rollout.measured
    if measured.finished < MIN_FINISHED:
        return None
    return timedelta(seconds=measured.finish_seconds / measured.finished)


def next_observation(moment: Moment, invoked_at: datetime | None) -> datetime:
    """Return when a device in flight, invoked at `invoked_at`, may have news."""
    if invoked_at is None or not (is_crowded(moment) or _saves_messages(moment)):
        return moment.now
    elapsed = moment.now - invoked_at
    usual = usual_duration(moment)
    if usual is not None and elapsed < usual:
        return invoked_at + usual
    return moment.now + max(MIN_INTERVAL, elapsed * _INTERVAL_SHARE)


def _saves_messages(moment: Moment) -> bool:
    """Return whether the rollout waits for the messages of the day, which observations take."""
    waits = (item.until is None for item in moment.rollout.outages if item.code == DAILY_QUOTA)
    return any(waits)


def next_soak_observation(moment: Moment, until: datetime) -> datetime:
    """Return when a soaking device is observed again, at the end of its soak at the latest."""
    interval = max(MIN_INTERVAL, moment.strategy.soak / SOAK_OBSERVATIONS)
    return min(moment.now + interval, until)


def next_search(moment: Moment, until: datetime) -> datetime:
    """Return when a device that was offline at the end of its soak is observed again."""
    return min(moment.now + max(MIN_INTERVAL, moment.strategy.soak / 8), until)


def next_late_observation(moment: Moment, failed_at: datetime | None) -> datetime | None:
    """Return when a failed device is observed again for a late success; None if no more.

    Each interval is as long as the time since the failure.
    """
    since = moment.now - (failed_at or moment.now)
    if since >= moment.strategy.offline.deadline:
        return None
    return moment.now + max(MIN_INTERVAL, since)


def search_interval(searches: int, devices: int, elapsed: timedelta) -> timedelta:
    """Return the time between two searches for reported failures.

    `searches` were sent for `devices` devices that started, `elapsed` ago at the latest.
    """
    if searches * DEVICES_PER_SEARCH < devices:
        return MIN_SEARCH_INTERVAL
    return max(MIN_SEARCH_INTERVAL, elapsed * _INTERVAL_SHARE)


def can_report_failure(update: DeviceUpdate) -> bool:
    """Return whether a failure that its device reports now is news."""
    return update.state.in_flight or update.state is DeviceState.SOAKING


def is_under_way(update: DeviceUpdate) -> bool:
    """Return whether messages of the day are reserved to observe the device."""
    return can_report_failure(update) or is_followed(update)


def due_at(moment: Moment, update: DeviceUpdate) -> datetime | None:
    """Return when an update needs attention; None if it only waits to start, or has ended.

    A failed update whose device may still complete needs attention, too.
    """
    if update.state is DeviceState.QUEUED:
        return _queued_due_at(moment, update)
    if update.state.ended:
        return update.observe_at if update.state is DeviceState.FAILED else None
    end = timeout_at(moment, update)
    if end is not None and update.dark_since is not None:
        end = max(end, update.dark_since + CONFIRMATION)
    earliest = update.observe_at
    for time in (update.not_before, end, update.soak_until):
        if time is not None and (earliest is None or time < earliest):
            earliest = time
    return moment.now if earliest is None else earliest


def _queued_due_at(moment: Moment, update: DeviceUpdate) -> datetime | None:
    if is_followed(update):
        return min(update.observe_at or moment.now, update.not_before or moment.now)
    if update.not_before is None or readiness.is_ready(moment, update):
        return None
    return moment.now if _is_watched_closely(moment, update) else update.not_before


def first_due_at(moment: Moment, updates: Iterable[DeviceUpdate]) -> datetime | None:
    """Return when the first of the updates needs attention; None if none does."""
    times = [due_at(moment, update) for update in leave_out_idle(updates)]
    return min([time for time in times if time is not None], default=None)


def leave_out_idle(updates: Iterable[DeviceUpdate]) -> list[DeviceUpdate]:
    """Leave out updates that are never due: they have ended, or only wait for their first start.

    These are most of a rollout's updates, so that what is left is judged much faster.
    """
    return [
        update
        for update in updates
        if update.state not in _IDLE
        or update.observe_at is not None
        or update.not_before is not None
    ]


def is_due(moment: Moment, update: DeviceUpdate) -> bool:
    """Return whether an update needs attention now."""
    time = due_at(moment, update)
    return time is not None and time <= moment.now


def due_blocks(rollout: Rollout, now: datetime) -> Sequence[int]:
    """Return the numbers of blocks that need attention, longest due first.

    At most `MAX_DUE_BLOCKS`.
    """
    due = [
        (summary.due_at, number)
        for number, summary in enumerate(rollout.block_summaries)
        if summary.due_at is not None and summary.due_at <= now
    ]
    return [number for _, number in sorted(due)[:MAX_DUE_BLOCKS]]


def needs_twin(moment: Moment, update: DeviceUpdate) -> bool:
    """Return whether the whole twin may have news, not only whether the device is connected."""
    if update.state is DeviceState.QUEUED:
        if update.missing_since is not None or is_followed(update):
            return True
        return update.attempt > 1 and not is_crowded(moment)
    return update.state is DeviceState.FAILED or not update.state.ended


def needs_fresh_twin(moment: Moment, update: DeviceUpdate) -> bool:
    """Return whether the next decision cannot be undone, so that only a fresh twin will do."""
    if update.missing_since is not None or update.state is DeviceState.FAILED:
        return True
    if update.state is DeviceState.SOAKING:
        return has_come(moment, update.soak_until)
    if update.state is DeviceState.DISPATCHING or is_followed(update):
        return has_come(moment, update.not_before)
    return has_come(moment, timeout_at(moment, update))


def is_followed(update: DeviceUpdate) -> bool:
    """Return whether a queued update of a cancelled rollout waits for the end of an attempt."""
    return update.state is DeviceState.QUEUED and update.observe_at is not None


def _is_watched_closely(moment: Moment, update: DeviceUpdate) -> bool:
    """Return whether a device that was found offline may come back at any moment."""
    since = update.waiting_since
    if since is None or not update.offline or is_crowded(moment):
        return False
    return moment.now < since + CLOSE_WATCH
