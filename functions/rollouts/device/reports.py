"""Read what a device twin says about one device update (device contract: reported properties).

Two kinds of devices are understood. One reports `firmwareUpdate` with the rollout and attempt
that its `firmwareStatus` is about. The other knows only the tutorial's contract: its
`firmwareStatus` counts if the hub stored it after the direct method was sent.
All values are foreign input, read as generously as `foreign_values` allows. The device's own times
are never compared: only the hub's times of its properties are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from functions.rollouts.device.device_words import MAX_TEXT, text
from functions.rollouts.device.foreign_values import (
    to_json,
    to_mapping,
    to_percent,
    to_text,
    to_whole_number,
    to_word,
)
from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.rollouts.model.device_twin import Baseline, DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.package_uri import hide_secrets
from functions.rollouts.model.reason import Reason

_STAGES = {
    "downloading": DeviceState.DOWNLOADING,
    "applying": DeviceState.APPLYING,
    "completed": DeviceState.COMPLETED,
    "failed": DeviceState.FAILED,
}
LAST_UPDATE = "lastFirmwareUpdate"
_STAGE_TIMES = {
    DeviceState.DOWNLOADING: "downloadComplete",
    DeviceState.APPLYING: "startedApplyingImage",
    DeviceState.COMPLETED: LAST_UPDATE,
}
_STANDING_BY = "standBy"
_STANDING_BY_WORD = _STANDING_BY.casefold()
# A manifest or link that has expired is no failure of the firmware.
_EXPIRED = frozenset({"manifestexpired", "packageuriexpired"})
_IDLE = frozenset({"completed", "failed", _STANDING_BY_WORD})


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the device says of this update."""

    state: DeviceState
    status: str  # the `firmwareStatus`, as the device contract spells it
    # All that it passed, with the hub's times, earliest first; `state` is always one of them.
    stages: tuple[tuple[DeviceState, datetime], ...]
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
    return read_version(twin.reported.get("firmwareVersion"))


def read_version(value: Any) -> str | None:
    """Return the version in a value of `firmwareVersion`, or None if it has none.

    A number is read as its text. Space around the version is not part of it.
    """
    if not isinstance(value, str):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        value = to_json(value) if is_number else ""
    return text(value).strip() or None


def report(
    rollout_id: str, update: DeviceUpdate, twin: DeviceTwin, firmware: Firmware | None = None
) -> Report | None:
    """Return what `twin` says about `update`, or None if it says nothing about it.

    `firmware` is what the update installs; None if it is not known.
    """
    word, before = to_word(twin.reported.get("firmwareStatus")), update.baseline
    if not _newer(twin.reported_at.get("firmwareStatus"), before.status_at):
        return None
    about = to_mapping(twin.reported.get("firmwareUpdate"))
    state = _state(word, twin, before)
    if state is None or not _is_about(about, rollout_id, update, twin, state):
        return None
    if state is DeviceState.COMPLETED:
        is_named = word != _STANDING_BY_WORD and _named_rollout(about) == rollout_id
        if not is_named and not _has_updated(update, twin, firmware):
            return None
    return Report(
        state=state,
        status=_STANDING_BY if word == _STANDING_BY_WORD else state.value,
        stages=_stages(twin, state, before),
        progress_percent=to_percent(about.get("progressPercent")),
        error=_error(about) if state is DeviceState.FAILED else None,
    )


def is_update_under_way(twin: DeviceTwin) -> bool:
    """Return whether the device reports a stage of an update that has not ended."""
    state = _STAGES.get(to_word(twin.reported.get("firmwareStatus")))
    return state is not None and state.in_flight


def names_rollout(twin: DeviceTwin, rollout_id: str) -> bool:
    """Return whether the device says that its latest update is one of this rollout."""
    return _named_rollout(to_mapping(twin.reported.get("firmwareUpdate"))) == rollout_id


def is_superseded(rollout_id: str, update: DeviceUpdate, twin: DeviceTwin) -> bool:
    """Return whether the device reported another rollout's update since it was invoked."""
    other = _named_rollout(to_mapping(twin.reported.get("firmwareUpdate")))
    newer = _newer(twin.reported_at.get("firmwareUpdate"), update.baseline.update_at)
    return newer and other not in {"", rollout_id}


def failure(reported: Report, *links: str) -> tuple[ErrorCode, str]:
    """Return the code and message of a reported failure, without the secrets of links."""
    error = reported.error or Reason(code="unknown", message="no reason given")
    code, message = (text(hide_secrets(said, *links)) for said in (error.code, error.message))
    if to_word(error.code) == ErrorCode.REVERTED:
        return ErrorCode.REVERTED, f"The device went back to its old firmware: {message}"
    if to_word(error.code) in _EXPIRED:
        return ErrorCode.REJECTED, f"The device refused what had expired: {code}: {message}"
    return ErrorCode.REPORTED, f"The device reported a failure: {code}: {message}"


def recognises_repeats(twin: DeviceTwin) -> bool:
    """Return whether the device knows rollouts and attempts, and so ignores a repeated attempt.

    Such a device reports more than the tutorial's does with each status. A device that went back
    to the tutorial's firmware leaves its old properties in the twin: only its status changes.
    """
    status_at = twin.reported_at.get("firmwareStatus")
    more = [twin.reported_at.get(name) for name in ("firmwareUpdate", "firmwareVersion")]
    return any(at is not None and (status_at is None or at >= status_at) for at in more)


def shows_end(update: DeviceUpdate, twin: DeviceTwin) -> bool:
    """Return whether the device reports that it is at work no more, since its method was sent."""
    reported_at = twin.reported_at.get("firmwareStatus")
    is_idle = to_word(twin.reported.get("firmwareStatus")) in _IDLE
    return is_idle and _newer(reported_at, update.baseline.status_at)


def _is_busy_elsewhere(rollout_id: str, twin: DeviceTwin) -> bool:
    """Return whether the twin shows another rollout's update, and not its end."""
    other = _named_rollout(to_mapping(twin.reported.get("firmwareUpdate")))
    if other in {"", rollout_id}:
        return False
    reported_at = [twin.reported_at.get(name) for name in ("firmwareUpdate", "firmwareStatus")]
    return is_update_under_way(twin) and not _newer(reported_at[1], reported_at[0])


def _state(word: str, twin: DeviceTwin, before: Baseline) -> DeviceState | None:
    """Return the state that the device reports. One that completed and restarted stands by."""
    if word != _STANDING_BY_WORD:
        return _STAGES.get(word)
    is_new = _newer(twin.reported_at.get(LAST_UPDATE), before.status_at)
    return DeviceState.COMPLETED if is_new else None


def _is_about(
    about: Mapping[str, Any],
    rollout_id: str,
    update: DeviceUpdate,
    twin: DeviceTwin,
    state: DeviceState,
) -> bool:
    named = _named_rollout(about)
    if named == rollout_id:
        # Without a readable attempt, the report is about the latest one. An earlier attempt that
        # completed after all is a success; its failure is old news.
        attempt = to_whole_number(about.get("attempt"))
        is_earlier = attempt is not None and attempt < update.attempt
        return not is_earlier or state is DeviceState.COMPLETED
    is_new = _newer(twin.reported_at.get("firmwareUpdate"), update.baseline.update_at)
    is_others = bool(named) and is_new  # the update of another rollout
    return update.dispatched_at is not None and not is_others


def _named_rollout(about: Mapping[str, Any]) -> str:
    """Return the id of the rollout that the device names, or an empty text."""
    return to_word(about.get("rolloutId"))


def _has_updated(update: DeviceUpdate, twin: DeviceTwin, firmware: Firmware | None) -> bool:
    """Return whether a reported completion is this update's, not an old one reported again.

    It is if `lastFirmwareUpdate` differs from before or is absent. A device without a clock always
    reports the same value: then the version that arrived decides, or a stage that the hub stored
    between the method and the status. A device that repeats an old report sends all of its
    properties at once, so no stage is older than the status.
    """
    last = _last_update(twin)
    if last is None or last != update.baseline.last_update:
        return True
    return _has_new_version(update, twin, firmware) or _has_passed_stage(update, twin)


def _has_new_version(update: DeviceUpdate, twin: DeviceTwin, firmware: Firmware | None) -> bool:
    """Return whether the device reports `firmware` since the method, and another one before."""
    before, running = update.previous_version, running_version(twin)
    if firmware is None or before is None or running is None:
        return False
    is_new = _newer(twin.reported_at.get("firmwareVersion"), update.baseline.status_at)
    return is_new and firmware.is_named(running) and not firmware.is_named(before)


def _has_passed_stage(update: DeviceUpdate, twin: DeviceTwin) -> bool:
    """Return whether the hub stored a stage's time after the method and before the status."""
    status_at = twin.reported_at.get("firmwareStatus")
    times = [twin.reported_at.get(name) for name in _STAGE_TIMES.values() if name != LAST_UPDATE]
    return any(_newer(at, update.baseline.status_at) and _newer(status_at, at) for at in times)


def _last_update(twin: DeviceTwin) -> str | None:
    value = twin.reported.get(LAST_UPDATE)
    return None if value is None else to_json(value)[:MAX_TEXT]


def _stages(
    twin: DeviceTwin, state: DeviceState, before: Baseline
) -> tuple[tuple[DeviceState, datetime], ...]:
    """Return every stage that the device passed, also those between two observations."""
    passed: list[tuple[DeviceState, datetime]] = []
    for stage, name in _STAGE_TIMES.items():
        at = twin.reported_at.get(name)
        if stage.rank <= state.rank and at is not None and _newer(at, before.status_at):
            passed.append((stage, at))
    status_at = twin.reported_at.get("firmwareStatus")
    if status_at is not None and state not in {stage for stage, _ in passed}:
        passed.append((state, status_at))
    return tuple(sorted(passed, key=lambda entry: (entry[1], entry[0].rank)))


def _newer(at: datetime | None, before: datetime | None) -> bool:
    return at is not None and (before is None or at > before)


def _error(about: Mapping[str, Any]) -> Reason:
    """Return the error in the device's own words, not yet cut or cleaned."""
    return Reason(
        code=to_text(about.get("errorCode")) or "unknown",
        message=to_text(about.get("errorMessage")) or "The device gave no reason.",
    )
