"""The soak: a device that completed must stay healthy for a while before it counts.

soaking --healthy to the end--> completed        failed: reported, reverted or went dark
"""

from datetime import datetime
from typing import Any

from functions.rollouts.device import attention, darkness, fair_time, moves, reports, versions
from functions.rollouts.device.deadlines import has_come
from functions.rollouts.device.moment import Moment
from functions.rollouts.device.versions import Verdict
from functions.rollouts.model import texts
from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate


def start_soak(
    moment: Moment, update: DeviceUpdate, reported_at: datetime, **known: Any
) -> DeviceUpdate:
    """Start the soak at the hub's time of the device's report."""
    until = max(reported_at, update.dispatched_at or reported_at) + moment.strategy.soak
    message = f"The device reported completed; it must stay healthy until {texts.utc_time(until)}."
    observe_at = attention.next_soak_observation(moment, until)
    return moves.move(
        moment,
        update,
        DeviceState.SOAKING,
        message,
        reported_at=reported_at,
        soak_until=until,
        observe_at=observe_at,
        **known,
    )


def observe(moment: Moment, update: DeviceUpdate, twin: DeviceTwin) -> DeviceUpdate:
    """End the soak if the twin says that the device is no longer healthy."""
    if reports.is_superseded(moment.rollout.id, update, twin):
        message = "Completed: another update of the device began during its soak."
        return moves.move(moment, update, DeviceState.COMPLETED, message, ended_at=moment.now)
    verdict = versions.judge(moment, update, twin)
    has_reverted = verdict is Verdict.REVERTED
    reported = reports.report(moment.rollout.id, update, twin)
    if reported is not None and reported.state is DeviceState.FAILED:
        code, message = reports.failure(reported, *moment.rollout.links_for(update))
        return moves.fail(moment, update, ErrorCode.REVERTED if has_reverted else code, message)
    match verdict:
        case Verdict.REVERTED:
            return fail_reverted(moment, update, twin)
        case Verdict.WRONG:
            return versions.fail_wrong(moment, update, twin)
    return update


def fail_reverted(moment: Moment, update: DeviceUpdate, twin: DeviceTwin) -> DeviceUpdate:
    """Fail an update whose device runs its old firmware again."""
    version = reports.running_version(twin)
    message = f"The device went back to its old firmware, {version}."
    return moves.fail(moment, update, ErrorCode.REVERTED, message)


def decide(moment: Moment, update: DeviceUpdate, twin: DeviceTwin | None) -> DeviceUpdate:
    """End a soak whose time is over. A device that is offline then gets as long again."""
    if not has_come(moment, update.soak_until):
        return _schedule_observation(moment, update)
    if twin is not None and darkness.is_alive(twin, update.dark_since):
        if versions.judge(moment, update, twin) is Verdict.AWAITED:
            return _await_version(moment, update, twin)
        message = "Completed: the device stayed healthy through its soak."
        return moves.move(moment, update, DeviceState.COMPLETED, message, ended_at=moment.now)
    started_at = _started_at(update)
    dark_at = max(
        fair_time.extend(moment, update, started_at, started_at + 2 * moment.strategy.soak),
        darkness.confirmed_at(moment, update),
    )
    if twin is None or moment.now >= dark_at:
        message = "The device completed; offline when its soak ended."
        return moves.fail(moment, update, ErrorCode.WENT_DARK, message)
    again = attention.next_search(moment, dark_at)
    message = f"Offline at the end of its soak; waited for until {texts.utc_time(dark_at)}."
    return update._replace(
        soak_until=again,
        observe_at=again,
        dark_since=update.dark_since or moment.now,
        explanation=message,
        updated_at=moment.now,
    )


def _await_version(moment: Moment, update: DeviceUpdate, twin: DeviceTwin) -> DeviceUpdate:
    """Extend the soak of a device that has not reported its version, to its timeout at most."""
    until = (update.accepted_at or moment.now) + moment.strategy.timeout
    if moment.now >= until:
        return versions.fail_wrong(moment, update, twin)
    again = attention.next_search(moment, until)
    return update._replace(
        soak_until=again,
        observe_at=again,
        explanation=versions.describe_wait(moment, update, twin, until),
        updated_at=moment.now,
    )


def _schedule_observation(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
    if update.observe_at is not None and update.observe_at > moment.now:
        return update
    observe_at = attention.next_soak_observation(moment, update.soak_until or moment.now)
    return update._replace(observe_at=observe_at)


def adopt_soak(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
    """Set the end of a soak again, because the strategy has changed since the soak began.

    Return the update itself if it does not soak, or if its device was found offline at the end.
    """
    if update.state is not DeviceState.SOAKING or update.dark_since is not None:
        return update
    until = _started_at(update) + moment.strategy.soak
    message = f"The soak was changed; the device must stay healthy until {texts.utc_time(until)}."
    return update._replace(
        soak_until=until,
        observe_at=attention.next_soak_observation(moment, until),
        explanation=message,
        updated_at=moment.now,
    )


def _started_at(update: DeviceUpdate) -> datetime:
    """Return when the soak began: no line follows that one until the soak ends."""
    return update.history[-1].at
