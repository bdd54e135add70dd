"""The soak: a device that completed must stay healthy for a while before it counts.

soaking --healthy to the end--> completed        failed: it reported so, reverted, went dark
"""

from datetime import datetime, timedelta
from typing import Any

from functions.rollouts.device import moves, reports
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate

# How often a soaking device is looked at: what goes wrong in a long soak must stop the others.
LOOKS = 4


def start_soak(
    moment: Moment, update: DeviceUpdate, reported_at: datetime, **known: Any
) -> DeviceUpdate:
    """The update as it begins to soak, by the hub's time of its device's report."""
    until = max(reported_at, update.dispatched_at or reported_at) + moment.strategy.soak
    message = f"The device reported completed; it must stay healthy until {moves.clock(until)}."
    observe_at = min(until, moment.now + _between_looks(moment))
    return moves.move(
        moment,
        update,
        DeviceState.SOAKING,
        message,
        soak_until=until,
        observe_at=observe_at,
        **known,
    )


def observe(moment: Moment, update: DeviceUpdate, twin: DeviceTwin) -> DeviceUpdate:
    """Whether the twin says that the device is healthy no more."""
    if reports.superseded(moment.rollout.id, update, twin):
        message = "Completed: another update of the device began during its soak."
        return moves.move(moment, update, DeviceState.COMPLETED, message, ended_at=moment.now)
    firmware = moment.rollout.firmware_for(update)
    went_back = reports.runs_old_version(update, twin, firmware.version)
    told = reports.report(moment.rollout.id, update, twin)
    if told is not None and told.state is DeviceState.FAILED:
        code, message = reports.failure(told, firmware.package_uri)
        return moves.fail(moment, update, ErrorCode.REVERTED if went_back else code, message)
    return fail_reverted(moment, update, twin) if went_back else update


def fail_reverted(moment: Moment, update: DeviceUpdate, twin: DeviceTwin) -> DeviceUpdate:
    version = reports.running_version(twin)
    message = f"The device went back to its old firmware, {version}."
    return moves.fail(moment, update, ErrorCode.REVERTED, message)


def decide(moment: Moment, update: DeviceUpdate, twin: DeviceTwin | None) -> DeviceUpdate:
    """Over when its time is; a device that is not connected then is waited for as long again."""
    if update.soak_until is None or update.soak_until > moment.now:
        return _looked_at(moment, update)
    if twin is not None and twin.connected:
        message = "Completed: it stayed healthy through its soak."
        return moves.move(moment, update, DeviceState.COMPLETED, message, ended_at=moment.now)
    dark_at = _began_at(moment, update) + 2 * moment.strategy.soak
    if twin is None or moment.now >= dark_at:
        message = "The device completed, and was not connected when its soak ended."
        return moves.fail(moment, update, ErrorCode.WENT_DARK, message)
    again = min(dark_at, moment.now + max(moves.LOOK_AGAIN_AT_LEAST, moment.strategy.soak / 8))
    message = f"Not connected at the end of its soak; waited for until {moves.clock(dark_at)}."
    return update._replace(
        soak_until=again, observe_at=again, explanation=message, updated_at=moment.now
    )


def _looked_at(moment: Moment, update: DeviceUpdate) -> DeviceUpdate:
    if update.observe_at is not None and update.observe_at > moment.now:
        return update
    again = moment.now + _between_looks(moment)
    return update._replace(observe_at=min(again, update.soak_until or again))


def _between_looks(moment: Moment) -> timedelta:
    return max(moves.LOOK_AGAIN_AT_LEAST, moment.strategy.soak / LOOKS)


def _began_at(moment: Moment, update: DeviceUpdate) -> datetime:
    lines = reversed(update.history)
    return next((line.at for line in lines if line.state is DeviceState.SOAKING), moment.now)
