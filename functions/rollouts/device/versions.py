"""Judge the firmware version that a device reports: is it the one that the device is to run?

A device names its version in `firmwareVersion`. The name must be the firmware's `version`, or one
of its `reported_as`. A name that the hub stored before the device completed says nothing yet: some
devices report `completed` first and their version after a restart. Such a device is waited for. A
device that reports no version, like the tutorial's, is not judged.
"""

from datetime import datetime
from enum import StrEnum, auto

from functions.rollouts.device import attention, moves, reports
from functions.rollouts.device.deadlines import timeout_at
from functions.rollouts.device.foreign_values import to_word
from functions.rollouts.device.moment import Moment
from functions.rollouts.model import texts
from functions.rollouts.model.device_state import DeviceState, ErrorCode, SkipReason
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.strategy import WhenAlreadyRunning


class Verdict(StrEnum):
    """What the reported version says about a device that has completed."""

    RIGHT = auto()  # the requested version; or the device reports none, or is not to be judged
    AWAITED = auto()  # another version, from before it completed; a device that reports versions
    REVERTED = auto()  # the version that it ran before
    WRONG = auto()  # neither the requested version nor the earlier one


def judge(moment: Moment, update: DeviceUpdate, twin: DeviceTwin) -> Verdict:
    """Judge the version of a device that has reported that it completed."""
    running = reports.running_version(twin)
    if running is None or moment.rollout.firmware_for(update).is_named(running):
        return Verdict.RIGHT
    if _is_reported_since_completion(update, twin):
        if running == update.previous_version:
            return Verdict.REVERTED
        return Verdict.WRONG if moment.strategy.verify_version else Verdict.RIGHT
    must_follow = moment.strategy.verify_version and _reports_versions(moment, update, twin)
    return Verdict.AWAITED if must_follow else Verdict.RIGHT


def record_running(moment: Moment, update: DeviceUpdate, twin: DeviceTwin) -> DeviceUpdate:
    """Record the version that the device reports now."""
    running = reports.running_version(twin)
    if running == update.running_version:
        return update
    return update._replace(running_version=running, updated_at=moment.now)


def fail_wrong(moment: Moment, update: DeviceUpdate, twin: DeviceTwin) -> DeviceUpdate:
    """Fail an update whose device reports another version than the requested one."""
    running, expected = reports.running_version(twin), moment.rollout.firmware_for(update).version
    message = (
        f"The device reports version {running}, expected {expected}. If {running} is another name"
        f" of {expected}, list it in firmware.reportedAs of a new rollout."
    )
    return moves.fail(moment, update, ErrorCode.WRONG_VERSION, message)


def await_version(moment: Moment, update: DeviceUpdate, twin: DeviceTwin) -> DeviceUpdate:
    """Leave an update under way until its device reports its version, or its timeout comes."""
    if update.state is DeviceState.DISPATCHING:  # its response has not come, and it has no timeout
        message = "The device reported completed."
        observe_at = attention.next_observation(moment, update.dispatched_at)
        update = moves.move(moment, update, DeviceState.ACCEPTED, message, observe_at=observe_at)
    explanation = describe_wait(moment, update, twin, timeout_at(moment, update))
    if update.explanation == explanation:
        return update
    return update._replace(explanation=explanation, updated_at=moment.now)


def is_awaited(moment: Moment, update: DeviceUpdate, twin: DeviceTwin) -> bool:
    """Return whether the device completed and has not reported its version since."""
    reported = reports.report(moment.rollout.id, update, twin)
    has_completed = reported is not None and reported.state is DeviceState.COMPLETED
    return has_completed and judge(moment, update, twin) is Verdict.AWAITED


def describe_wait(
    moment: Moment, update: DeviceUpdate, twin: DeviceTwin, until: datetime | None
) -> str:
    """Return a sentence that the device has completed and is to report its version until then."""
    running, expected = reports.running_version(twin), moment.rollout.firmware_for(update).version
    limit = f" until {texts.utc_time(until)}" if until else ""
    return (
        f"The device reported completed, and still reports version {running}; waiting{limit} for it"
        f" to report {expected}."
    )


def skip_if_running(moment: Moment, update: DeviceUpdate, twin: DeviceTwin) -> DeviceUpdate | None:
    """Skip a queued update whose device runs the version before it is invoked; None if not."""
    if not may_skip(moment, update, twin):
        return None
    running, version = reports.running_version(twin), moment.rollout.firmware_for(update).version
    name = "" if running == version else f", and reports it as {running}"
    message = f"Skipped: the device already runs version {version}{name}."
    return moves.skip(moment, update, SkipReason.ALREADY_RUNNING, message)


def may_skip(moment: Moment, update: DeviceUpdate, twin: DeviceTwin) -> bool:
    """Return whether a twin says that the device needs no update.

    The twin must be fresh for the decision: after a rollback, an older one names the version that
    was undone.
    """
    return (
        update.state is DeviceState.QUEUED
        and moment.strategy.when_already_running is WhenAlreadyRunning.SKIP
        and runs_already(moment.rollout.firmware_for(update), twin)
    )


def runs_already(firmware: Firmware, twin: DeviceTwin) -> bool:
    """Return whether a device that was not invoked runs the firmware.

    Its version must not be older than its latest update, and no update may be under way.
    """
    running, reported_at = reports.running_version(twin), _version_time(twin)
    if running is None or reported_at is None or not firmware.is_named(running):
        return False
    began_at = _latest_update_at(twin)
    is_old = began_at is not None and reported_at < began_at
    return not is_old and not reports.is_update_under_way(twin)


def _is_reported_since_completion(update: DeviceUpdate, twin: DeviceTwin) -> bool:
    reported_at = _version_time(twin)
    completed_at = _completed_at(update, twin)
    return reported_at is not None and completed_at is not None and reported_at >= completed_at


def _reports_versions(moment: Moment, update: DeviceUpdate, twin: DeviceTwin) -> bool:
    """Return whether the device is known to report its version after an update.

    One that went back to the tutorial's firmware is not: it left an old version in its twin.
    """
    if reports.names_rollout(twin, moment.rollout.id):
        return True
    baseline, reported_at = update.baseline, _version_time(twin)
    is_news = reported_at is not None and (
        baseline.status_at is None or reported_at > baseline.status_at
    )
    return baseline.recognises_repeats or is_news


def _version_time(twin: DeviceTwin) -> datetime | None:
    return twin.reported_at.get("firmwareVersion")


def _completed_at(update: DeviceUpdate, twin: DeviceTwin) -> datetime | None:
    """Return when the hub stored that the device completed; None if it has no such time."""
    at, before = twin.reported_at.get(reports.LAST_UPDATE), update.baseline.status_at
    is_new = at is not None and (before is None or at > before)
    return at if is_new else twin.reported_at.get("firmwareStatus")


def _latest_update_at(twin: DeviceTwin) -> datetime | None:
    """Return when the device's latest update was at work, by its reports; None if it had none.

    A version that was reported before this time may be that of the firmware before the update.
    """
    names = ("downloadComplete", "startedApplyingImage")
    at_work = [twin.reported_at[name] for name in names if name in twin.reported_at]
    if at_work:
        return max(at_work)
    is_completed = to_word(twin.reported.get("firmwareStatus")) == "completed"
    status_at = twin.reported_at.get("firmwareStatus") if is_completed else None
    return twin.reported_at.get(reports.LAST_UPDATE) or status_at
