"""A rollback takes the devices that run, or may run, the firmware that it undoes."""

from typing import Any

import pytest

from functions.rollouts.device import undoing
from functions.rollouts.device.undoing import Evidence
from functions.rollouts.model.device_state import IN_FLIGHT, DeviceState, ErrorCode
from functions.rollouts.model.device_twin import Baseline, DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate, HistoryEntry
from functions.rollouts.model.method_outcome import MethodResponse
from functions.rollouts.model.reason import Reason
from tests.functions.builders import (
    ROLLOUT_ID,
    at,
    make_rollout,
    make_twin,
    make_update,
    speaking_twin,
)

OTHER = "another"
OLD = speaking_twin("standBy", -60, version=("1.0.0", -60))
UNHEARD_OF = make_twin(firmwareStatus=("standBy", -60))
COMPLETED = make_update(
    state=DeviceState.COMPLETED,
    dispatched_at=at(0),
    updated_at=at(90),
    baseline=Baseline(status_at=at(-60), update_at=at(-60)),
    history=(HistoryEntry(DeviceState.COMPLETED, 1, at(50), "The device reported completed."),),
)


def failed(code: ErrorCode, **values: Any) -> DeviceUpdate:
    """Make the failed update of a device that was sent the method at noon."""
    known: dict[str, Any] = {"dispatched_at": at(0), "baseline": COMPLETED.baseline}
    error = Reason(code=code.value, message="why")
    return make_update(state=DeviceState.FAILED, error=error, **(known | values))


def is_to_undo(update: DeviceUpdate, twin: DeviceTwin | None) -> bool:
    return undoing.is_to_undo(ROLLOUT_ID, update, make_rollout().firmware, twin)


# -- a device that completed -------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "is_undone"), [(-60, True), (50, True), (51, False)])
def test_a_device_that_reports_another_version_since_it_completed_stays(
    seconds: float, is_undone: bool
) -> None:
    """A version from before may be a leftover: some firmware reports none."""
    twin = speaking_twin("completed", 50, version=("1.0.0", seconds))
    assert is_to_undo(COMPLETED, twin) is is_undone


def test_a_version_that_cannot_be_read_does_not_tell_that_a_device_has_moved_on() -> None:
    assert is_to_undo(COMPLETED, speaking_twin("completed", 50, version=("", 60)))


@pytest.mark.parametrize(("seconds", "is_undone"), [(-60, True), (60, False)])
def test_a_device_that_another_rollout_has_updated_since_stays(
    seconds: float, is_undone: bool
) -> None:
    twin = speaking_twin("completed", seconds, rollout_id=OTHER, version=("1.0.0", -60))
    assert is_to_undo(COMPLETED, twin) is is_undone


def test_a_device_that_runs_the_firmware_is_taken_also_if_another_rollout_installed_it() -> None:
    twin = speaking_twin("completed", 60, rollout_id=OTHER, version=("2.4.0", 60))
    for update in (COMPLETED, failed(ErrorCode.REPORTED)):
        assert is_to_undo(update, twin)


# -- a device that failed ----------------------------------------------------------------------


@pytest.mark.parametrize("status", ["downloading", "applying"])
@pytest.mark.parametrize("attempt", [1, 2])
def test_a_failed_device_that_is_at_work_on_any_attempt_is_taken(status: str, attempt: int) -> None:
    twin = speaking_twin(status, 10, attempt=attempt)
    assert is_to_undo(failed(ErrorCode.REPORTED, attempt=2), twin)


@pytest.mark.parametrize("status", ["downloading", "applying"])
def test_a_failed_device_that_names_no_rollout_and_is_at_work_is_taken(status: str) -> None:
    assert is_to_undo(failed(ErrorCode.REPORTED), make_twin(firmwareStatus=(status, 10)))
    assert not is_to_undo(failed(ErrorCode.REPORTED), make_twin(firmwareStatus=(status, -60)))


@pytest.mark.parametrize(
    "twin", [speaking_twin("failed", 10), make_twin(firmwareStatus=("failed", 10)), OLD]
)
def test_a_device_that_failed_and_is_not_at_work_stays(twin: DeviceTwin) -> None:
    assert not is_to_undo(failed(ErrorCode.REPORTED), twin)


def test_the_rollout_that_a_device_names_is_read_in_any_form() -> None:
    about = f'{{"rolloutId": "{ROLLOUT_ID.upper()}", "attempt": 1}}'
    twin = make_twin(firmwareStatus=("downloading", 10), firmwareUpdate=(about, 10))
    assert is_to_undo(failed(ErrorCode.REPORTED, attempt=2), twin)


# -- a device that may run the firmware --------------------------------------------------------


def test_a_device_that_was_not_read_is_taken_unless_it_has_failed() -> None:
    assert is_to_undo(COMPLETED, None)
    assert is_to_undo(failed(ErrorCode.TIMED_OUT), None)
    assert not is_to_undo(failed(ErrorCode.REPORTED), None)
    assert not is_to_undo(make_update(), None)


def test_a_device_that_was_never_sent_the_firmware_stays_whatever_it_runs() -> None:
    assert not is_to_undo(make_update(), speaking_twin("completed", 10))


def test_a_device_in_doubt_that_reports_no_version_is_taken() -> None:
    assert is_to_undo(failed(ErrorCode.TIMED_OUT), UNHEARD_OF)
    assert not is_to_undo(failed(ErrorCode.TIMED_OUT), OLD)


def test_an_offline_device_that_had_started_is_taken_on_its_old_version_too() -> None:
    away = speaking_twin("standBy", -60, version=("1.0.0", -60), connected=False)
    dark = failed(ErrorCode.WENT_DARK)
    started = (HistoryEntry(DeviceState.DOWNLOADING, 1, at(9), "It reported downloading."),)
    assert not is_to_undo(dark, away)
    assert is_to_undo(dark._replace(history=started), away)
    assert not is_to_undo(dark._replace(history=started), OLD)


@pytest.mark.parametrize("state", sorted(IN_FLIGHT))
def test_a_device_under_way_is_taken_once_it_has_accepted(state: DeviceState) -> None:
    update = make_update(state=state, dispatched_at=at(0), baseline=COMPLETED.baseline)
    assert is_to_undo(update, OLD) is (state is not DeviceState.DISPATCHING)


# -- what the record says ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "used", "evidence"),
    [
        (ErrorCode.WRONG_VERSION, 0, Evidence.RUNS),
        (ErrorCode.REPORTED, 1, Evidence.FAILED),
        (ErrorCode.REVERTED, 1, Evidence.FAILED),
        (ErrorCode.REJECTED, 0, Evidence.FAILED),
        (ErrorCode.REJECTED, 1, Evidence.MAY_RUN),
        (ErrorCode.TIMED_OUT, 3, Evidence.MAY_RUN),
        (ErrorCode.WENT_DARK, 0, Evidence.MAY_RUN),
        (ErrorCode.UNREACHABLE, 3, Evidence.MAY_RUN),
    ],
)
def test_a_failed_device_may_run_the_firmware_unless_it_refused_or_undid_it(
    code: ErrorCode, used: int, evidence: Evidence
) -> None:
    assert undoing.weigh(failed(code, attempts_used=used)) is evidence
    if code is not ErrorCode.WRONG_VERSION:
        never_sent = failed(code, attempts_used=used, dispatched_at=None)
        assert undoing.weigh(never_sent) is Evidence.NEVER_SENT


@pytest.mark.parametrize("state", [DeviceState.COMPLETED, DeviceState.SOAKING])
def test_a_device_that_completed_runs_the_firmware(state: DeviceState) -> None:
    assert undoing.weigh(make_update(state=state, dispatched_at=at(0))) is Evidence.RUNS


@pytest.mark.parametrize("state", [DeviceState.QUEUED, DeviceState.CANCELLED, DeviceState.SKIPPED])
@pytest.mark.parametrize(
    ("status", "method", "evidence"),
    [
        ("failed", MethodResponse(status=200), Evidence.FAILED),
        ("failed", None, Evidence.MAY_RUN),  # that of an attempt before the one that was sent
        ("applying", MethodResponse(status=200), Evidence.MAY_RUN),
        (None, None, Evidence.MAY_RUN),
    ],
)
def test_a_device_between_attempts_may_run_the_firmware_unless_the_last_one_failed(
    state: DeviceState, status: str | None, method: MethodResponse | None, evidence: Evidence
) -> None:
    update = make_update(
        state=state, dispatched_at=at(0), firmware_status=status, method=method, attempt=2
    )
    assert undoing.weigh(update) is evidence
    assert undoing.weigh(update._replace(dispatched_at=None)) is Evidence.NEVER_SENT
