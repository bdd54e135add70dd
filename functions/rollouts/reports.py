"""What a device twin says about one device update (device contract: reported properties).

Two kinds of devices are understood. One reports `firmwareUpdate` with the rollout and attempt
that its `firmwareStatus` is about. The other knows only the tutorial's contract: for it, a
`firmwareStatus` counts if the hub stored it after the direct method was sent.
Whatever a device writes is foreign input: a value of the wrong type counts as absent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from functions.rollouts.model import Baseline, DeviceState, DeviceTwin, DeviceUpdate, Reason

_STAGES = {
    "downloading": DeviceState.DOWNLOADING,
    "applying": DeviceState.APPLYING,
    "completed": DeviceState.COMPLETED,
    "failed": DeviceState.FAILED,
}
_STAGE_TIMES = {
    DeviceState.DOWNLOADING: "downloadComplete",
    DeviceState.APPLYING: "startedApplyingImage",
    DeviceState.COMPLETED: "lastFirmwareUpdate",
}
_STANDING_BY = "standBy"
_TEXT_AT_MOST = 1000  # characters kept of a text that a device wrote


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the device says of this update. `stages` are all it has passed, with the hub's times."""

    state: DeviceState
    status: str
    stages: tuple[tuple[DeviceState, datetime], ...]
    progress_percent: int | None
    error: Reason | None


def baseline(twin: DeviceTwin) -> Baseline:
    """Remember what the twin holds now, so that it is not taken for news later."""
    times = [twin.reported_at.get(name) for name in ("firmwareStatus", *_STAGE_TIMES.values())]
    return Baseline(
        status_at=max((at for at in times if at is not None), default=None),
        update_at=twin.reported_at.get("firmwareUpdate"),
        recognises_repeats="firmwareVersion" in twin.reported or "firmwareUpdate" in twin.reported,
    )


def running_version(twin: DeviceTwin) -> str | None:
    """The firmware version that the device says it runs."""
    return _text(twin.reported.get("firmwareVersion"))


def report(rollout_id: str, update: DeviceUpdate, twin: DeviceTwin) -> Report | None:
    """What `twin` says about `update`, or None when it says nothing about it."""
    status = twin.reported.get("firmwareStatus")
    about = _mapping(twin.reported.get("firmwareUpdate"))
    state = _state(status, about, twin, update.baseline)
    if state is None or not _is_about(about, rollout_id, update, twin, state):
        return None
    return Report(
        state=state,
        status=str(status),
        stages=_stages(twin, state, update.baseline),
        progress_percent=_percent(about.get("progressPercent")),
        error=_error(about) if state is DeviceState.FAILED else None,
    )


def _state(
    status: Any, about: Mapping[str, Any], twin: DeviceTwin, before: Baseline
) -> DeviceState | None:
    """The state that the device reports; a device that ended and restarted only stands by."""
    if status != _STANDING_BY:
        return _STAGES.get(status) if isinstance(status, str) else None
    if _newer(twin.reported_at.get(_STAGE_TIMES[DeviceState.COMPLETED]), before.status_at):
        return DeviceState.COMPLETED
    return DeviceState.FAILED if _text(about.get("errorCode")) else None


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
        return False  # the device is telling of somebody else's update
    return _newer(twin.reported_at.get("firmwareStatus"), update.baseline.status_at)


def _stages(
    twin: DeviceTwin, state: DeviceState, before: Baseline
) -> tuple[tuple[DeviceState, datetime], ...]:
    """Every stage that the device has passed, also those between two looks at its twin."""
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
    code = _text(about.get("errorCode")) or "unknown"
    message = _text(about.get("errorMessage")) or "The device gave no reason."
    return Reason(code=code, message=message)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return value[:_TEXT_AT_MOST] if isinstance(value, str) else None


def _percent(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(max(0, min(100, value)))
