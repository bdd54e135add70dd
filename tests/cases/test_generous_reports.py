"""Check that reports are read generously.

Today a report whose attempt is text or missing is ignored, a numeric error code becomes "unknown",
and a device without a clock, which repeats `lastFirmwareUpdate`, completes once only.
"""

import pytest

from functions.rollouts.device import following, reports
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_twin import Baseline
from tests.cases.steps import required
from tests.functions.builders import at, make_moment, make_rollout, make_twin, make_update


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="C6: an attempt is read generously")
@pytest.mark.parametrize("attempt", ["1", None])
def test_a_report_whose_attempt_is_text_or_missing_is_read(attempt: str | None) -> None:
    rollout = make_rollout()
    update = make_update(state=DeviceState.ACCEPTED, dispatched_at=at(0), accepted_at=at(1))
    about = {"rolloutId": rollout.id} | ({"attempt": attempt} if attempt else {})
    twin = make_twin(
        firmwareStatus=("completed", 50),
        firmwareUpdate=(about, 50),
        firmwareVersion=("2.4.0", 50),
        lastFirmwareUpdate=("t", 50),
    )
    assert reports.report(rollout.id, update, twin) is not None


@pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="C6: a numeric error code is passed on"
)
def test_a_number_as_error_code_is_passed_on() -> None:
    rollout = make_rollout()
    update = make_update(state=DeviceState.ACCEPTED, dispatched_at=at(0), accepted_at=at(1))
    about = {
        "rolloutId": rollout.id,
        "attempt": 1,
        "errorCode": 5379,
        "errorMessage": "validation",
    }
    twin = make_twin(firmwareStatus=("failed", 50), firmwareUpdate=(about, 50))
    told = required(reports.report(rollout.id, update, twin), "the report is about this update")
    assert "5379" in reports.failure(told, "https://p/f")[1]


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="C7: the hub's own times, or the version, decide",
)
def test_a_repeated_last_update_time_does_not_hide_a_version_that_arrived() -> None:
    update = make_update(
        state=DeviceState.ACCEPTED,
        dispatched_at=at(0),
        accepted_at=at(1),
        previous_version="1.0.0",
        baseline=Baseline(status_at=at(-50), last_update='"2026-11-26"'),
    )
    twin = make_twin(
        firmwareStatus=("completed", 50),
        firmwareVersion=("2.4.0", 50),
        lastFirmwareUpdate=("2026-11-26", 50),
    )
    after = following.observe(make_moment(60, rollout=make_rollout()), update, twin)
    assert after.state is DeviceState.COMPLETED
