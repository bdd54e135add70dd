"""Read what a device twin says about one device update (device contract: reported properties).

Two kinds of devices are understood. One reports `firmwareUpdate` with the rollout and attempt
that its `firmwareStatus` is about. The other knows only the tutorial's contract: its
`firmwareStatus` counts if the hub stored it after the direct method was sent.
All values are foreign input: a value of the wrong type counts as absent.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from functions.rollouts.device.device_words import MAX_TEXT, text
from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.rollouts.model.device_twin import Baseline, DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.package_uri import hide_secrets
from functions.rollouts.model.reason import Reason

_STAGES = {
    "downloading": DeviceState.DOWNLOADING,
    "applying": DeviceState.APPLYING,
    "completed": DeviceState.COMPLETED,
    "failed": DeviceState.FAILED,
}
_LAST_UPDATE = "lastFirmwareUpdate"
_STAGE_TIMES = {
    DeviceState.DOWNLOADING: "downloadComplete",
    DeviceState.APPLYING: "startedApplyingImage",
    DeviceState.COMPLETED: _LAST_UPDATE,
}
_STANDING_BY = "standBy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the device says of this update."""

    state: DeviceState
    status: str  # the `firmwareStatus`, as the device writes it
    stages: tuple[tuple[DeviceState, datetime], ...]  # all that it passed, with the hub's times
    progress_percent: int | None  # 0..100; None: not reported
    error: Reason | None  # None: the device has not failed


def baseline(rollout_id: str, twin: DeviceTwin) -> Baseline:
    """Return what the twin holds now, so that it is not taken for news later."""
    times = [twin.reported_at.get(name) for name in ("firmwareStatus", *_STAGE_TIMES.values())]
    return Baseline(
        status_at=max((at for at in times if at is not None), default=None),
        update_at=twin.reported_at.get("firmwareUpdate"),
        last_update=_last_update(twin),
        recognises_repeats=recognises_repeats(twin),
        busy_elsewhere=_is_busy_elsewhere(rollout_id, twin),
    )


def running_version(twin: DeviceTwin) -> str | None:
    """Return the firmware version that the device reports, or None."""
    version = twin.reported.get("firmwareVersion")
    return text(version) if isinstance(version, str) else None


def report(rollout_id: str, update: DeviceUpdate, twin: DeviceTwin) -> Report | None:
    """Return what `twin` says about `update`, or None if it says nothing about it."""
    status = twin.reported.get("firmwareStatus")
    before = update.baseline
    if not _newer(twin.reported_at.get("firmwareStatus"), before.status_at):
        return None
    about = _mapping(twin.reported.get("firmwareUpdate"))
    state = _state(status, twin, before)
    if state is None or not _is_about(about, rollout_id, update, twin, state):
        return None
    return Report(
        state=state,
        status=str(status),
        stages=_stages(twin, state, before),
        progress_percent=_percent(about.get("progressPercent")),
        error=_error(about) if state is DeviceState.FAILED else None,
    )


def runs_old_version(update: DeviceUpdate, twin: DeviceTwin, version: str) -> bool:
    """Return whether the device reports the firmware it had before, not `version`.

    A version reported before the completion does not count: the device may have gone back to the
    tutorial's firmware, which reports none.
    """
    running, reported_at = running_version(twin), twin.reported_at.get("firmwareVersion")
    completed_at = _completed_at(twin, update.baseline)
    if running is None or reported_at is None or completed_at is None or reported_at < completed_at:
        return False
    return running == update.previous_version != version


def is_superseded(rollout_id: str, update: DeviceUpdate, twin: DeviceTwin) -> bool:
    """Return whether the device reported another rollout's update since it was invoked."""
    about = _mapping(twin.reported.get("firmwareUpdate"))
    other = about.get("rolloutId")
    newer = _newer(twin.reported_at.get("firmwareUpdate"), update.baseline.update_at)
    return newer and isinstance(other, str) and other != rollout_id


def failure(reported: Report, package_uri: str) -> tuple[ErrorCode, str]:
    """Return the code and message of a reported failure, without the URI's secrets."""
    error = reported.error or Reason(code="unknown", message="no reason given")
    code, message = (text(hide_secrets(said, package_uri)) for said in (error.code, error.message))
    if error.code == ErrorCode.REVERTED:
        return ErrorCode.REVERTED, f"The device went back to its old firmware: {message}"
    return ErrorCode.REPORTED, f"The device reported a failure: {code}: {message}"


def recognises_repeats(twin: DeviceTwin) -> bool:
    """Return whether the device knows rollouts and attempts, and so ignores a repeated attempt.

    Such a device reports more than the tutorial's does with each status. A device that went back
    to the tutorial's firmware leaves its old properties in the twin: only its status changes.
    """
    status_at = twin.reported_at.get("firmwareStatus")
    more = [twin.reported_at.get(name) for name in ("firmwareUpdate", "firmwareVersion")]
    return any(at is not None and (status_at is None or at >= status_at) for at in more)


def _is_busy_elsewhere(rollout_id: str, twin: DeviceTwin) -> bool:
    """Return whether the twin shows another rollout's update, and not its end."""
    other = _mapping(twin.reported.get("firmwareUpdate")).get("rolloutId")
    if not isinstance(other, str) or other == rollout_id:
        return False
    status = twin.reported.get("firmwareStatus")
    state = _STAGES.get(status) if isinstance(status, str) else None
    reported_at = [twin.reported_at.get(name) for name in ("firmwareUpdate", "firmwareStatus")]
    return state is not None and state.in_flight and not _newer(reported_at[1], reported_at[0])


def _state(status: Any, twin: DeviceTwin, before: Baseline) -> DeviceState | None:
    """Return the state that the device reports. One that completed and restarted stands by."""
    if status != _STANDING_BY:
        return _STAGES.get(status) if isinstance(status, str) else None
    updated = _newer(twin.reported_at.get(_LAST_UPDATE), before.status_at)
    return DeviceState.COMPLETED if updated and _updated_since(twin, before) else None


def _is_about(
    about: Mapping[str, Any],
    rollout_id: str,
    update: DeviceUpdate,
    twin: DeviceTwin,
    state: DeviceState,
) -> bool:
    if about.get("rolloutId") == rollout_id:
        attempt = about.get("attempt")
        # An earlier attempt that completed after all is a success; its failure is old news.
        earlier = isinstance(attempt, int) and attempt < update.attempt
        return attempt == update.attempt or (earlier and state is DeviceState.COMPLETED)
    if update.dispatched_at is None:
        return False
    if _newer(twin.reported_at.get("firmwareUpdate"), update.baseline.update_at):
        return False  # it reports another rollout's update
    return state is not DeviceState.COMPLETED or _updated_since(twin, update.baseline)


def _updated_since(twin: DeviceTwin, before: Baseline) -> bool:
    """Return whether `lastFirmwareUpdate` differs from before, or is absent."""
    now = _last_update(twin)
    return now is None or now != before.last_update


def _last_update(twin: DeviceTwin) -> str | None:
    value = twin.reported.get(_LAST_UPDATE)
    return None if value is None else json.dumps(value)[:MAX_TEXT]


def _completed_at(twin: DeviceTwin, before: Baseline) -> datetime | None:
    at = twin.reported_at.get(_LAST_UPDATE)
    return at if _newer(at, before.status_at) else twin.reported_at.get("firmwareStatus")


def _stages(
    twin: DeviceTwin, state: DeviceState, before: Baseline
) -> tuple[tuple[DeviceState, datetime], ...]:
    """Return every stage that the device passed, also those between two observations."""
    passed: list[tuple[DeviceState, datetime]] = []
    for stage, name in _STAGE_TIMES.items():
        at = twin.reported_at.get(name)
        reached = stage.rank < state.rank or stage is state
        if reached and at is not None and _newer(at, before.status_at):
            passed.append((stage, at))
    status_at = twin.reported_at.get("firmwareStatus")
    if status_at is not None and state not in {stage for stage, _ in passed}:
        passed.append((state, status_at))
    return tuple(sorted(passed, key=lambda entry: (entry[1], entry[0].rank)))


def _newer(at: datetime | None, before: datetime | None) -> bool:
    return at is not None and (before is None or at > before)


def _error(about: Mapping[str, Any]) -> Reason:
    """Return the error in the device's own words, not yet cut or cleaned."""
    code, message = about.get("errorCode"), about.get("errorMessage")
    return Reason(
        code=code if code and isinstance(code, str) else "unknown",
        message=message if message and isinstance(message, str) else "The device gave no reason.",
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _percent(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(max(0, min(100, value)))
