"""Reports are read generously: in any form that has one meaning, and never as a guessed success."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.device import following, foreign_values, reports
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_twin import Baseline, DeviceTwin
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.strategy import Strategy
from tests.cases.steps import required
from tests.functions.builders import (
    ROLLOUT_ID,
    at,
    make_moment,
    make_rollout,
    make_twin,
    make_update,
    speaking_twin,
    twin_of,
)
from tests.functions.rollouts.device.under_way import error_code

ACCEPTED = make_update(state=DeviceState.ACCEPTED, dispatched_at=at(0), accepted_at=at(1))
URI = "https://packages.example/fw.bin"


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


# -- statuses and attempts -------------------------------------------------------------------


@pytest.mark.parametrize("status", ["Completed", "COMPLETED", " completed ", "completed\n"])
def test_a_status_is_read_in_any_case(status: str) -> None:
    told = required(report_of(speaking_twin(status, 50)), "the report is about this update")
    assert (told.state, told.status) == (DeviceState.COMPLETED, "completed")


def test_a_device_that_completed_and_stands_by_is_read_in_any_case() -> None:
    twin = make_twin(firmwareStatus=("STANDBY", 60), lastFirmwareUpdate=("x", 45))
    told = required(report_of(twin), "the report is about this update")
    assert (told.state, told.status) == (DeviceState.COMPLETED, "standBy")


@pytest.mark.parametrize("attempt", [2, 2.0, "2", " 2 ", 3, "7", None, "", "two", [2], {}, True])
@pytest.mark.parametrize("status", ["downloading", "failed", "completed"])
def test_a_report_of_this_or_an_unreadable_attempt_counts(attempt: Any, status: str) -> None:
    update = ACCEPTED._replace(attempt=2)
    assert report_of(speaking_twin(status, 50, attempt=attempt), update) is not None


@pytest.mark.parametrize("attempt", [1, 1.0, "1", 0, -1, 1.5])
def test_of_an_earlier_attempt_only_a_success_counts(attempt: Any) -> None:
    update = ACCEPTED._replace(attempt=2)
    assert report_of(speaking_twin("failed", 50, attempt=attempt), update) is None
    assert report_of(speaking_twin("applying", 50, attempt=attempt), update) is None
    assert report_of(speaking_twin("completed", 50, attempt=attempt), update) is not None


def test_a_report_without_attempt_from_before_the_method_is_ignored() -> None:
    update = ACCEPTED._replace(attempt=2, baseline=Baseline(status_at=at(50), update_at=at(50)))
    assert report_of(speaking_twin("failed", 50, attempt=None), update) is None  # type: ignore[arg-type]


def test_a_rollout_is_recognised_in_any_case_and_another_one_is_not() -> None:
    assert (
        report_of(speaking_twin("completed", 50, rollout_id=f" {ROLLOUT_ID.upper()}")) is not None
    )
    assert report_of(speaking_twin("completed", 50, rollout_id=f"{ROLLOUT_ID}0")) is None


@pytest.mark.parametrize("about", [None, {}, {"rolloutId": None}, {"rolloutId": ""}, [], 7, "{"])
def test_a_report_that_names_no_rollout_is_read_as_a_tutorial_devices(about: Any) -> None:
    twin = make_twin(firmwareStatus=("completed", 50), firmwareUpdate=(about, 50))
    assert report_of(twin) is not None


def test_an_update_object_that_is_written_as_text_is_read() -> None:
    about = f'{{"rolloutId": "{ROLLOUT_ID}", "attempt": 1, "progressPercent": 40}}'
    twin = make_twin(firmwareStatus=("downloading", 50), firmwareUpdate=(about, 50))
    assert required(report_of(twin), "the report is read").progress_percent == 40


@pytest.mark.parametrize(("length", "is_read"), [(4096, True), (4097, False)])
def test_an_object_in_a_text_may_have_the_length_of_a_text_in_a_twin(
    length: int, is_read: bool
) -> None:
    text = ' \n{"a": 1}'.ljust(length)
    assert foreign_values.to_mapping(text) == ({"a": 1} if is_read else {})


def test_the_devices_own_clock_decides_nothing() -> None:
    twin = speaking_twin("downloading", 50, updatedAt="9999-12-31T23:59:59Z")
    update = following.observe(make_moment(60), ACCEPTED, twin)
    assert (update.state, update.history[-1].at) == (DeviceState.DOWNLOADING, at(50))


def test_extra_and_missing_sections_do_not_matter() -> None:
    twin = make_twin(
        firmwareStatus=("completed", 50),
        firmwareUpdate=({"rolloutId": ROLLOUT_ID, "attempt": 1, "more": {"x": [1]}}, 50),
        downloadComplete=(None, 20),
        startedApplyingImage=({}, 30),
        somethingElse=([[[]]], 40),
    )
    assert following.observe(make_moment(60), ACCEPTED, twin).state is DeviceState.COMPLETED


# -- errors and progress ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        (7, None, "7: The device gave no reason."),
        (1.5, 7, "1.5: 7"),
        (False, ["no", "room"], 'false: ["no", "room"]'),
        (None, None, "unknown: The device gave no reason."),
        ({"kind": "io"}, "", '{"kind": "io"}: The device gave no reason.'),
    ],
)
def test_an_error_of_any_type_is_passed_on(code: Any, message: Any, told: str) -> None:
    twin = speaking_twin("failed", 50, errorCode=code, errorMessage=message)
    failed = following.observe(make_moment(60), ACCEPTED, twin)
    assert (failed.error and failed.error.message) == f"The device reported a failure: {told}"


def test_a_revert_is_recognised_in_any_case() -> None:
    twin = speaking_twin("failed", 50, errorCode="Reverted")
    assert error_code(following.observe(make_moment(60), ACCEPTED, twin)) == "reverted"


@pytest.mark.parametrize(
    ("value", "percent"),
    [
        *[("45", 45), (" 45.7 %", 45), ("45%", 45), (45.7, 45), (-3, 0), (250, 100), ("1e9", None)],
        *[(10**400, 100), ("9" * 400, None), (float("nan"), None), (float("inf"), None)],
        *[(True, None), ("half", None), ([45], None), (None, None), ("٤٥", 45)],
    ],
)
def test_a_progress_is_read_in_any_form(value: Any, percent: int | None) -> None:
    assert foreign_values.to_percent(value) == percent


# -- a device without a clock ----------------------------------------------------------------

MONDAY = Baseline(status_at=at(-50), last_update='"monday"')
WITHOUT_CLOCK = ACCEPTED._replace(baseline=MONDAY)
REPEATED = {"firmwareStatus": ("completed", 50), "lastFirmwareUpdate": ("monday", 50)}


@pytest.mark.parametrize("stage", ["downloadComplete", "startedApplyingImage"])
def test_a_stage_that_the_hub_stored_since_the_method_tells_a_new_completion(stage: str) -> None:
    assert report_of(twin_of({**REPEATED, stage: ("monday", 30)}), WITHOUT_CLOCK) is not None


@pytest.mark.parametrize("seconds", [-60, 50])
def test_all_that_a_device_repeats_at_once_tells_no_new_completion(seconds: float) -> None:
    stages = {"downloadComplete": ("monday", seconds), "startedApplyingImage": ("monday", seconds)}
    assert report_of(twin_of({**REPEATED, **stages}), WITHOUT_CLOCK) is None


@pytest.mark.parametrize(
    ("version", "seconds", "before"),
    [("2.4.0", -60, "1.0.0"), ("1.0.0", 50, "1.0.0"), ("2.4.0", 50, "2.4.0"), ("2.4.0", 50, None)],
)
def test_a_version_that_did_not_arrive_tells_no_new_completion(
    version: str, seconds: float, before: str | None
) -> None:
    twin = twin_of({**REPEATED, "firmwareVersion": (version, seconds)})
    assert report_of(twin, WITHOUT_CLOCK._replace(previous_version=before)) is None


def test_a_device_without_a_clock_that_restarted_is_recognised_by_its_version() -> None:
    twin = twin_of(
        {**REPEATED, "firmwareStatus": ("standBy", 60), "firmwareVersion": ("2.4.0", 60)}
    )
    update = WITHOUT_CLOCK._replace(previous_version="1.0.0")
    assert following.observe(make_moment(60), update, twin).state is DeviceState.COMPLETED


# -- anything --------------------------------------------------------------------------------

WORDS = st.sampled_from(
    ["completed", "Completed", "failed", "standBy", "downloading", "applying", "done", "", "1", "2"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
ABOUT = st.fixed_dictionaries(
    {},
    optional={
        "rolloutId": st.just(ROLLOUT_ID) | JSON,
        "attempt": st.integers(0, 4) | JSON,
        "progressPercent": JSON,
        "errorCode": JSON,
        "errorMessage": JSON,
    },
)
REPORTED = st.fixed_dictionaries(
    {},
    optional={
        "firmwareStatus": WORDS | JSON,
        "firmwareUpdate": ABOUT | JSON,
        "firmwareVersion": st.just("2.4.0") | JSON,
        "lastFirmwareUpdate": st.just("monday") | JSON,
        "downloadComplete": JSON,
        "startedApplyingImage": JSON,
    },
)


@given(
    reported=REPORTED,
    seconds=st.dictionaries(st.sampled_from(["firmwareStatus", "lastFirmwareUpdate"]), st.just(50)),
    update=st.sampled_from([ACCEPTED, WITHOUT_CLOCK, make_update(attempt=2, dispatched_at=at(0))]),
    soak=st.booleans(),
)
def test_no_reported_properties_break_the_reader_or_pass_for_a_success(
    reported: dict[str, Any], seconds: dict[str, int], update: DeviceUpdate, soak: bool
) -> None:
    twin = DeviceTwin(
        device_id=update.device_id,
        connected=True,
        reported=reported,
        reported_at={name: at(seconds.get(name, 50)) for name in reported},
    )
    moment = make_moment(60, Strategy(soak=make_moment(60).now - at(0)) if soak else None)
    after = following.observe(moment, update, twin)
    following.decide(moment, after, twin, connected=True)
    reports.baseline(ROLLOUT_ID, twin)
    if after.state in {DeviceState.COMPLETED, DeviceState.SOAKING}:
        word = str(reported["firmwareStatus"]).strip().casefold()
        assert word == "completed" or (word == "standby" and "lastFirmwareUpdate" in reported)


def report_of(twin: DeviceTwin, update: DeviceUpdate = ACCEPTED) -> reports.Report | None:
    return reports.report(ROLLOUT_ID, update, twin, make_rollout().firmware)
