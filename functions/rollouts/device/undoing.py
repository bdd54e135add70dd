"""Say whether a device runs, or may yet run, the firmware that a rollback undoes.

Its record of the undone rollout tells first. Where that leaves a doubt (an attempt that timed out,
a device that went dark or failed), its twin tells.
"""

from enum import StrEnum, auto

from functions.rollouts.device import reports
from functions.rollouts.model.device_state import IN_FLIGHT, DeviceState, ErrorCode
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.firmware import Firmware

# Failures after which a device was last known not to run the firmware well, or at all.
_NOT_RUNNING = frozenset({ErrorCode.REPORTED, ErrorCode.REVERTED, ErrorCode.REJECTED})
_STARTED = IN_FLIGHT - {DeviceState.DISPATCHING}
RUNNING = frozenset({DeviceState.COMPLETED, DeviceState.SOAKING})


class Evidence(StrEnum):
    """What a record of the undone rollout says about the firmware that its device runs."""

    RUNS = auto()  # completed: the device runs it, unless something has changed it since
    MAY_RUN = auto()  # it was sent, and no end of it is known
    FAILED = auto()  # the device failed or refused it: it runs only if the twin says so
    NEVER_SENT = auto()


def weigh(update: DeviceUpdate) -> Evidence:
    """Return what the record of an update says about the firmware that its device runs."""
    if update.state in RUNNING or _runs_wrong_version(update):
        return Evidence.RUNS
    if update.dispatched_at is None:
        return Evidence.NEVER_SENT
    if update.error is not None and update.error.code in _NOT_RUNNING:
        refused_later = update.error.code == ErrorCode.REJECTED and update.attempts_used > 0
        return Evidence.MAY_RUN if refused_later else Evidence.FAILED
    if update.state in {DeviceState.CANCELLED, DeviceState.QUEUED, DeviceState.SKIPPED}:
        return Evidence.MAY_RUN if may_be_at_work(update) else Evidence.FAILED
    return Evidence.MAY_RUN


def _runs_wrong_version(update: DeviceUpdate) -> bool:
    """Return whether the device completed, and runs a firmware of another name."""
    return update.error is not None and update.error.code == ErrorCode.WRONG_VERSION


def may_be_at_work(update: DeviceUpdate) -> bool:
    """Return whether an attempt before the one that waits was sent, and its end is not known."""
    has_failed = update.firmware_status == "failed" and update.method is not None
    return update.dispatched_at is not None and not has_failed


def has_started(update: DeviceUpdate) -> bool:
    """Return whether the device accepted an attempt, as far as the history goes back."""
    return any(line.state in _STARTED for line in update.history)


def is_to_undo(
    rollout_id: str, update: DeviceUpdate, firmware: Firmware, twin: DeviceTwin | None
) -> bool:
    """Return whether the device runs the firmware of `update`, or is being brought to it.

    `twin` is None if it was not read, or if the hub does not know the device.
    """
    evidence = weigh(update)
    if twin is None or evidence is Evidence.NEVER_SENT:
        return evidence in {Evidence.RUNS, Evidence.MAY_RUN}
    running = reports.running_version(twin)
    runs_it = running is not None and firmware.is_named(running)
    if runs_it or _is_under_way(rollout_id, update, twin):
        return True
    match evidence:
        case Evidence.RUNS:
            return not _has_moved_on(rollout_id, update, twin)
        case Evidence.MAY_RUN:
            is_unheard = not twin.connected and has_started(update)
            return running is None or update.state in _STARTED or is_unheard
    return False


def _is_under_way(rollout_id: str, update: DeviceUpdate, twin: DeviceTwin) -> bool:
    """Return whether the twin shows this update under way, in whichever attempt."""
    if reports.names_rollout(twin, rollout_id):
        return reports.is_update_under_way(twin)
    reported = reports.report(rollout_id, update, twin)
    return reported is not None and reported.state.in_flight


def _has_moved_on(rollout_id: str, update: DeviceUpdate, twin: DeviceTwin) -> bool:
    """Return whether the device reported another version or rollout since it completed.

    A version that was reported before may be a leftover: some firmware reports none.
    """
    completed_at, reported_at = update.history[-1].at, twin.reported_at.get("firmwareVersion")
    has_version = reports.running_version(twin) is not None
    is_news = reported_at is not None and reported_at > completed_at
    return (has_version and is_news) or reports.is_superseded(rollout_id, update, twin)
