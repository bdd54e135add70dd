"""A report counts only for the update and attempt that it belongs to."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.device import following, reports
from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.rollouts.model.device_twin import Baseline, DeviceTwin
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.strategy import Strategy
from tests.functions.builders import (
    ROLLOUT_ID,
    at,
    make_moment,
    make_rollout,
    make_twin,
    make_update,
    speaking_twin,
)
from tests.functions.rollouts.device.under_way import make_accepted, make_soaking

DISPATCHED = make_update(
    state=DeviceState.DISPATCHING, dispatched_at=at(0), baseline=Baseline(status_at=at(-60))
)


def test_a_status_stored_before_the_method_was_sent_is_ignored() -> None:
    """Ignore a `completed` of an earlier update, which the tutorial would count."""
    twin = make_twin(firmwareStatus=("completed", -60))
    assert reports.report(ROLLOUT_ID, DISPATCHED, twin) is None


def test_a_status_stored_afterwards_is_news_from_a_device_that_knows_only_the_tutorial() -> None:
    twin = make_twin(firmwareStatus=("downloading", -59.999999), downloadComplete=("x", -59.999999))
    told = reports.report(ROLLOUT_ID, DISPATCHED, twin)
    assert told is not None
    assert told.state is DeviceState.DOWNLOADING


def test_stages_between_two_observations_have_the_hubs_times() -> None:
    twin = make_twin(
        firmwareStatus=("completed", 45),
        downloadComplete=("2018-01-01 00:00:15", 15),
        startedApplyingImage=("2018-01-01 00:00:30", 30),
        lastFirmwareUpdate=("2018-01-01 00:00:45", 45),
    )
    told = reports.report(ROLLOUT_ID, DISPATCHED, twin)
    assert told is not None
    assert told.stages == (
        (DeviceState.DOWNLOADING, at(15)),
        (DeviceState.APPLYING, at(30)),
        (DeviceState.COMPLETED, at(45)),
    )


def test_stage_times_left_from_an_earlier_update_are_not_reported_again() -> None:
    twin = make_twin(
        firmwareStatus=("downloading", 15),
        downloadComplete=("x", 15),
        startedApplyingImage=("x", -70),
        lastFirmwareUpdate=("x", -60),
    )
    told = reports.report(ROLLOUT_ID, DISPATCHED, twin)
    assert told is not None
    assert told.stages == ((DeviceState.DOWNLOADING, at(15)),)


def test_a_stage_of_an_earlier_update_is_not_among_those_of_this_one() -> None:
    twin = make_twin(
        firmwareStatus=("completed", 45),
        downloadComplete=("x", -60),
        startedApplyingImage=("x", -59),
        lastFirmwareUpdate=("x", 44),
    )
    told = reports.report(ROLLOUT_ID, DISPATCHED, twin)
    assert told is not None
    assert told.stages == ((DeviceState.APPLYING, at(-59)), (DeviceState.COMPLETED, at(44)))


def test_a_failed_device_has_passed_the_stages_before_and_has_not_completed() -> None:
    twin = make_twin(
        firmwareStatus=("failed", 45),
        downloadComplete=("x", 15),
        startedApplyingImage=("x", 30),
        lastFirmwareUpdate=("x", 40),
    )
    told = reports.report(ROLLOUT_ID, DISPATCHED, twin)
    assert told is not None
    assert [stage.value for stage, _ in told.stages] == ["downloading", "applying", "failed"]


def test_a_newer_update_of_another_rollout_is_ignored() -> None:
    other = {"rolloutId": "another", "attempt": 1}
    twin = make_twin(firmwareStatus=("completed", 30), firmwareUpdate=(other, 30))
    assert reports.report(ROLLOUT_ID, DISPATCHED, twin) is None


def test_firmware_status_counts_when_firmware_update_stopped_changing() -> None:
    """Test a device that went back to firmware of the tutorial's contract."""
    stale = {"rolloutId": "another", "attempt": 1}
    update = make_update(
        state=DeviceState.ACCEPTED,
        dispatched_at=at(0),
        baseline=Baseline(status_at=at(-60), update_at=at(-60)),
    )
    twin = make_twin(firmwareStatus=("applying", 30), firmwareUpdate=(stale, -60))
    told = reports.report(ROLLOUT_ID, update, twin)
    assert told is not None
    assert told.state is DeviceState.APPLYING


def test_the_failure_of_an_earlier_attempt_does_not_fail_this_one() -> None:
    second = make_update(state=DeviceState.DISPATCHING, attempt=2, dispatched_at=at(0))
    assert reports.report(ROLLOUT_ID, second, speaking_twin("failed", 5, attempt=1)) is None


def test_an_earlier_attempt_that_completed_after_all_is_a_success() -> None:
    second = make_update(attempt=2)
    told = reports.report(ROLLOUT_ID, second, speaking_twin("completed", 5, attempt=1))
    assert told is not None
    assert told.state is DeviceState.COMPLETED


@pytest.mark.parametrize(
    "status", ["standBy", "rebooting", "", "complete", "success", None, 7, ["completed"]]
)
def test_a_status_outside_the_contract_is_ignored(status: Any) -> None:
    assert reports.report(ROLLOUT_ID, DISPATCHED, make_twin(firmwareStatus=(status, 5))) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    status=st.sampled_from(["downloading", "failed", "completed"]),
    update=JSON
    | st.fixed_dictionaries(
        {"rolloutId": st.just(ROLLOUT_ID), "attempt": st.just(1)},
        optional={"progressPercent": JSON, "errorCode": JSON, "errorMessage": JSON},
    ),
    version=JSON,
)
def test_any_reported_properties_are_read(status: str, update: Any, version: Any) -> None:
    twin = DeviceTwin(
        device_id="thermostat-1",
        connected=True,
        reported={"firmwareStatus": status, "firmwareUpdate": update, "firmwareVersion": version},
        reported_at={"firmwareStatus": at(5)},
    )
    told = reports.report(ROLLOUT_ID, DISPATCHED, twin)
    running = reports.running_version(twin)
    assert running is None or isinstance(running, str)
    assert told is not None
    assert told.progress_percent is None or 0 <= told.progress_percent <= 100
    assert (told.error is not None) == (status == "failed")


@pytest.mark.parametrize("speaks", [True, False])
def test_a_device_that_completed_and_restarted_has_completed(speaks: bool) -> None:
    reported: dict[str, Any] = {
        "firmwareStatus": ("standBy", 60),
        "lastFirmwareUpdate": ("x", 45),
        "startedApplyingImage": ("x", 30),
    }
    if speaks:
        reported["firmwareUpdate"] = ({"rolloutId": ROLLOUT_ID, "attempt": 1}, 45)
    told = reports.report(ROLLOUT_ID, DISPATCHED, make_twin(**reported))
    assert told is not None
    assert told.state is DeviceState.COMPLETED
    assert told.stages[-1] == (DeviceState.COMPLETED, at(45))


def test_a_restart_without_an_update_is_ignored() -> None:
    """Ignore a `lastFirmwareUpdate` that was stored after the old status, before the method."""
    before = make_twin(firmwareStatus=("completed", -60), lastFirmwareUpdate=("x", -59))
    update = make_update(
        state=DeviceState.ACCEPTED,
        dispatched_at=at(0),
        baseline=reports.baseline(ROLLOUT_ID, before),
    )
    after = make_twin(firmwareStatus=("standBy", 10), lastFirmwareUpdate=("x", -59))
    assert reports.report(ROLLOUT_ID, update, after) is None


def test_an_error_left_in_the_twin_is_not_taken_for_this_updates() -> None:
    """Ignore an old `errorCode`, which a merge patch keeps beside the new rollout's id."""
    assert report_of(speaking_twin("standBy", 60, errorCode="noSpace")) is None


def test_a_rollout_id_without_a_newer_status_is_ignored() -> None:
    """Ignore the `completed` of the earlier update."""
    twin = make_twin(
        firmwareStatus=("completed", -60),
        firmwareUpdate=({"rolloutId": ROLLOUT_ID, "attempt": 1}, 5),
    )
    assert report_of(twin) is None


def test_a_restart_with_the_time_of_an_older_update_is_ignored() -> None:
    twin = make_twin(firmwareStatus=("standBy", 10), lastFirmwareUpdate=("x", -60))
    assert report_of(twin) is None


@pytest.mark.parametrize(("status", "counts"), [("completed", True), ("standBy", False)])
def test_a_device_without_a_clock_that_names_its_rollout_and_status_has_completed(
    status: str, counts: bool
) -> None:
    update = DISPATCHED._replace(baseline=Baseline(status_at=at(-60), last_update='"monday"'))
    twin = make_twin(
        firmwareStatus=(status, 10),
        firmwareUpdate=({"rolloutId": ROLLOUT_ID, "attempt": 1}, 10),
        lastFirmwareUpdate=("monday", 10),
    )
    assert (reports.report(ROLLOUT_ID, update, twin) is not None) is counts


@pytest.mark.parametrize("code", ["manifestExpired", "packageUriExpired", " PackageURIExpired "])
def test_what_has_expired_is_no_failure_of_the_firmware(code: str) -> None:
    told = report_of(speaking_twin("failed", 5, errorCode=code, errorMessage="too late"))
    assert told is not None
    assert reports.failure(told)[0] is ErrorCode.REJECTED


def test_a_device_that_reports_all_it_knows_when_it_reconnects_has_not_updated_again() -> None:
    before = make_twin(firmwareStatus=("completed", -60), lastFirmwareUpdate=("monday", -60))
    update = make_update(
        state=DeviceState.ACCEPTED,
        dispatched_at=at(0),
        baseline=reports.baseline(ROLLOUT_ID, before),
    )
    again = make_twin(firmwareStatus=("completed", 10), lastFirmwareUpdate=("monday", 10))
    assert reports.report(ROLLOUT_ID, update, again) is None
    new = make_twin(firmwareStatus=("completed", 50), lastFirmwareUpdate=("tuesday", 50))
    assert reports.report(ROLLOUT_ID, update, new) is not None


def test_a_device_that_never_reports_when_it_last_updated_completes() -> None:
    before = reports.baseline(ROLLOUT_ID, make_twin(firmwareStatus=("completed", -60)))
    update = DISPATCHED._replace(baseline=before)
    twin = make_twin(firmwareStatus=("completed", 10))
    assert reports.report(ROLLOUT_ID, update, twin) is not None


@pytest.mark.parametrize(
    ("reported", "recognises"),
    [
        ({"firmwareStatus": ("standBy", 0)}, False),
        ({"firmwareStatus": ("standBy", 0), "firmwareVersion": ("1", 0)}, True),
        ({"firmwareStatus": ("completed", 0), "firmwareUpdate": ({}, 0)}, True),
        ({"firmwareStatus": ("applying", 1), "firmwareUpdate": ({}, 0)}, False),
        ({"firmwareVersion": ("1", 0)}, True),
    ],
)
def test_a_device_recognises_repeats_if_it_reports_more_with_each_status(
    reported: dict[str, Any], recognises: bool
) -> None:
    """Test devices on the tutorial's firmware again, with old properties in the twin."""
    assert reports.baseline(ROLLOUT_ID, make_twin(**reported)).recognises_repeats is recognises


def test_a_devices_text_is_cut_and_cannot_break_a_log_line() -> None:
    told = report_of(speaking_twin("failed", 5, errorCode="a\nb", errorMessage="x" * 10_000))
    assert told is not None
    _, message = reports.failure(told, "https://packages.example/fw.bin")
    assert message == f"The device reported a failure: a b: {'x' * 300}"


def test_a_long_failure_report_shows_no_part_of_a_secret() -> None:
    uri = "https://packages.example/fw.bin?sig=0123456789"
    said = f"{'x' * 290} 0123456789"
    told = report_of(speaking_twin("failed", 5, errorCode=uri, errorMessage=said))
    assert told is not None
    _, message = reports.failure(told, uri)
    assert "0123" not in message
    assert "https://packages.example/fw.bin?***" in message


@pytest.mark.parametrize("soak", [0, 100])
def test_a_reported_failure_shows_no_secret_of_the_link_also_in_the_soak(soak: float) -> None:
    uri = "https://packages.example/fw.bin?sig=0123456789"
    firmware = Firmware(version="2.4.0", package_uri=uri)
    strategy = Strategy(soak=timedelta(seconds=soak))
    update = make_soaking(strategy) if soak else make_accepted()
    twin = speaking_twin("failed", 50, errorCode="noRoom", errorMessage="for 0123456789")
    moment = make_moment(51, rollout=make_rollout(strategy=strategy, firmware=firmware))
    failed = following.observe(moment, update, twin)
    assert (failed.error and failed.error.message) == (
        "The device reported a failure: noRoom: for ***"
    )


def report_of(twin: DeviceTwin) -> reports.Report | None:
    return reports.report(ROLLOUT_ID, DISPATCHED, twin)
