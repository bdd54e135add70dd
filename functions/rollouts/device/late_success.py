"""Complete a failed update whose device reports that it completed after all.

failed --reported completed, healthy for the length of the soak--> completed

A device that timed out, went dark, or whose response was lost may still be at work. It is observed
at growing intervals until the strategy's offline deadline has passed since the failure, also after
the end of its rollout. Its failure counts until then. Nothing starts or resumes by a late success.
"""

from datetime import datetime
from typing import Any

from functions.rollouts.device import attention, darkness, moves, reports, versions
from functions.rollouts.device.deadlines import has_come
from functions.rollouts.device.moment import Moment
from functions.rollouts.model import texts
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate


def observe(moment: Moment, update: DeviceUpdate, twin: DeviceTwin) -> DeviceUpdate:
    """Complete the update if its device has completed, is alive and stayed healthy long enough."""
    if update.observe_at is None:
        return update
    if reports.is_superseded(moment.rollout.id, update, twin):
        return update._replace(observe_at=None)
    reported_at = _completed_at(moment, update, twin)
    if reported_at is None or not _is_alive(moment, update, twin, reported_at):
        return update
    healthy_at = reported_at + moment.strategy.soak
    if not has_come(moment, healthy_at):
        return update._replace(observe_at=healthy_at)
    failed = f" It had failed: {update.error.code}." if update.error else ""
    message = f"The device reported completed at {texts.utc_time(reported_at)}, late.{failed}"
    known: dict[str, Any] = {"error": None, "progress_percent": 100, "firmware_status": "completed"}
    return moves.move(moment, update, DeviceState.COMPLETED, message, ended_at=moment.now, **known)


def _completed_at(moment: Moment, update: DeviceUpdate, twin: DeviceTwin) -> datetime | None:
    """Return the hub's time of the report that the update completed, or None without one."""
    firmware = moment.rollout.firmware_for(update)
    reported = reports.report(moment.rollout.id, update, twin, firmware)
    if reported is None or reported.state is not DeviceState.COMPLETED:
        return None
    if versions.judge(moment, update, twin) is not versions.Verdict.RIGHT:
        return None
    return reported.stages[-1][1]


def _is_alive(
    moment: Moment, update: DeviceUpdate, twin: DeviceTwin, reported_at: datetime
) -> bool:
    """Return whether the device lived after its failure; its report tells if nothing soaks."""
    failed_at = update.ended_at or moment.now
    has_reported = reported_at > failed_at and not moment.strategy.soak
    return has_reported or darkness.is_alive(twin, failed_at)


def decide(moment: Moment, update: DeviceUpdate, _twin: DeviceTwin | None) -> DeviceUpdate:
    """Schedule the next observation of a failed update; none after the last one."""
    if not has_come(moment, update.observe_at):
        return update
    return update._replace(observe_at=attention.next_late_observation(moment, update.ended_at))
