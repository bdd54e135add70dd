"""Test the firmware stages without an SDK or a clock."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from device_agent.dialect import TUTORIAL
from device_agent.stages import Report
from device_agent.update import FirmwareStatus, UpdateError
from simulator.simulated_device.simulated_updates import (
    SimulatedUpdates,
    StageFailure,
    UpdateSettings,
)

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
DELAY = timedelta(seconds=15)
STARTED = {"Response": "Firmware update started"}
TUTORIAL_PAYLOAD = {"fwPackageUri": "test.com"}


def payload(rollout_id: str = "r1", attempt: int = 1, version: str = "2.4.0") -> dict[str, Any]:
    return {
        "fwPackageUri": "https://packages.example/fw.bin",
        "rolloutId": rollout_id,
        "attempt": attempt,
        "version": version,
    }


def make_stages(reported: dict[str, Any] | None = None, **update_settings: Any) -> SimulatedUpdates:
    stages = SimulatedUpdates(UpdateSettings(**update_settings))
    stages.start(reported or {}, NOON)
    return stages


def run_to_end(stages: SimulatedUpdates) -> list[Report]:
    """Return every report of the update under way, each at the time when it is due."""
    reports = []
    while stages.due is not None:
        report = stages.advance(stages.due)
        assert report is not None
        reports.append(report)
    return reports


def failing_at(stage: FirmwareStatus) -> StageFailure:
    assert stage in (FirmwareStatus.DOWNLOADING, FirmwareStatus.APPLYING)
    return StageFailure(stage=stage, error=UpdateError(code="checksum", message="does not match"))


def test_a_new_device_reports_stand_by_with_its_version() -> None:
    report = SimulatedUpdates().start({}, NOON)

    assert report.patch == {
        "firmwareStatus": "standBy",
        "logTime": "2026-12-01T12:00:00.000Z",
        "firmwareVersion": "1.0.0",
    }


def test_an_update_reports_each_stage_once_a_delay_apart() -> None:
    stages = make_stages()
    stages.invoke("firmwareUpdate", payload(), NOON)

    reports = run_to_end(stages)

    assert [report.status for report in reports] == ["downloading", "applying", "completed"]
    assert [report.patch["firmwareUpdate"]["updatedAt"][11:19] for report in reports] == [
        "12:00:00",
        "12:00:15",
        "12:00:30",
    ]
    assert [report.patch["firmwareUpdate"]["progressPercent"] for report in reports] == [0, 50, 100]


def test_the_tutorials_times_are_set_with_their_stages() -> None:
    stages = make_stages()
    stages.invoke("firmwareUpdate", payload(), NOON)

    downloading, applying, completed = (report.patch for report in run_to_end(stages))

    assert "downloadComplete" not in downloading
    assert applying["downloadComplete"] == "2026-12-01T12:00:15.000Z"
    assert applying["startedApplyingImage"] == "2026-12-01T12:00:15.000Z"
    assert completed["lastFirmwareUpdate"] == "2026-12-01T12:00:30.000Z"


def test_a_completed_update_changes_the_version_and_names_the_rollout() -> None:
    stages = make_stages()
    stages.invoke("firmwareUpdate", payload("r7", attempt=2), NOON)

    completed = run_to_end(stages)[-1].patch

    assert stages.version == "2.4.0"
    assert completed["firmwareVersion"] == "2.4.0"
    assert completed["firmwareUpdate"] == {
        "rolloutId": "r7",
        "attempt": 2,
        "version": "2.4.0",
        "progressPercent": 100,
        "errorCode": None,
        "errorMessage": None,
        "updatedAt": "2026-12-01T12:00:30.000Z",
    }


def test_the_first_report_is_due_at_once_and_the_response_does_not_wait_for_it() -> None:
    stages = make_stages()

    response = stages.invoke("firmwareUpdate", payload(), NOON)

    assert (response.status, response.payload) == (200, STARTED)
    assert stages.due == NOON


def test_nothing_is_reported_before_it_is_due() -> None:
    stages = make_stages()
    stages.invoke("firmwareUpdate", payload(), NOON)
    stages.advance(NOON)

    assert stages.advance(NOON + DELAY - timedelta(microseconds=1)) is None
    assert stages.advance(NOON + DELAY) is not None


def test_a_late_call_advances_one_stage_only() -> None:
    stages = make_stages()
    stages.invoke("firmwareUpdate", payload(), NOON)

    report = stages.advance(NOON + timedelta(days=1))

    assert report is not None
    assert report.status == "downloading"


@pytest.mark.parametrize("ended", [False, True])
def test_a_repeated_attempt_gets_the_same_response_and_starts_nothing(ended: bool) -> None:
    stages = make_stages()
    stages.invoke("firmwareUpdate", payload(), NOON)
    if ended:
        run_to_end(stages)
    due = stages.due

    response = stages.invoke("firmwareUpdate", payload(), NOON + DELAY)

    assert (response.status, response.payload) == (200, STARTED)
    assert stages.due == due


def test_a_late_earlier_attempt_starts_nothing() -> None:
    stages = make_stages()
    stages.invoke("firmwareUpdate", payload(attempt=2), NOON)
    run_to_end(stages)

    response = stages.invoke("firmwareUpdate", payload(attempt=1), NOON + DELAY)

    assert response.status == 200
    assert stages.due is None


def test_a_higher_attempt_after_the_end_starts_again() -> None:
    stages = make_stages()
    stages.invoke("firmwareUpdate", payload(attempt=1), NOON)
    run_to_end(stages)

    stages.invoke("firmwareUpdate", payload(attempt=2), NOON + timedelta(hours=1))

    assert [report.status for report in run_to_end(stages)][-1] == "completed"


@pytest.mark.parametrize(
    "other", [payload("r2"), payload("r1", attempt=2), TUTORIAL_PAYLOAD], ids=str
)
def test_another_update_is_refused_while_one_is_under_way(other: dict[str, Any]) -> None:
    stages = make_stages()
    stages.invoke("firmwareUpdate", payload(), NOON)

    response = stages.invoke("firmwareUpdate", other, NOON)

    assert response.status == 409
    assert [report.update.rollout_id for report in run_to_end(stages) if report.update] == [
        "r1",
        "r1",
        "r1",
    ]


def test_a_refused_attempt_may_be_repeated_once_the_device_is_idle() -> None:
    stages = make_stages()
    stages.invoke("firmwareUpdate", payload("r1"), NOON)
    stages.invoke("firmwareUpdate", payload("r2"), NOON)
    run_to_end(stages)

    response = stages.invoke("firmwareUpdate", payload("r2"), NOON + timedelta(hours=1))

    assert response.status == 200
    assert stages.due is not None


@pytest.mark.parametrize(
    "unusable",
    [
        None,
        "",
        "test.com",
        [],
        {},
        {"fwPackageUri": None},
        {"fwPackageUri": ""},
        {"fwPackageUri": "  "},
        {"fwPackageUri": 5},
        TUTORIAL_PAYLOAD | {"rolloutId": 7},
        TUTORIAL_PAYLOAD | {"rolloutId": ""},
        TUTORIAL_PAYLOAD | {"rolloutId": "r1", "attempt": 0},
        TUTORIAL_PAYLOAD | {"rolloutId": "r1", "attempt": True},
        TUTORIAL_PAYLOAD | {"rolloutId": "r1", "attempt": "1"},
    ],
    ids=str,
)
def test_an_invalid_payload_is_refused_and_starts_nothing(unusable: object) -> None:
    stages = make_stages()

    response = stages.invoke("firmwareUpdate", unusable, NOON)

    assert response.status == 400
    assert stages.due is None


def test_an_unknown_method_gets_501_and_its_name() -> None:
    response = make_stages().invoke("reboot", {}, NOON)

    assert response.status == 501
    assert "reboot" in response.payload["Response"]


def test_the_tutorials_payload_starts_a_new_update_on_every_call() -> None:
    stages = make_stages()
    for _ in range(2):
        assert stages.invoke("firmwareUpdate", TUTORIAL_PAYLOAD, NOON).status == 200
        assert run_to_end(stages)[-1].status == "completed"


def test_an_update_without_identity_clears_the_former_ones() -> None:
    stages = make_stages()
    stages.invoke("firmwareUpdate", TUTORIAL_PAYLOAD, NOON)

    section = run_to_end(stages)[-1].patch["firmwareUpdate"]

    assert (section["rolloutId"], section["attempt"], section["version"]) == (None, None, None)


@pytest.mark.parametrize(
    ("stage", "statuses", "progress"),
    [
        (FirmwareStatus.DOWNLOADING, ["downloading", "failed"], 0),
        (FirmwareStatus.APPLYING, ["downloading", "applying", "failed"], 50),
    ],
)
def test_a_failure_ends_the_update_after_its_stage(
    stage: FirmwareStatus, statuses: list[str], progress: int
) -> None:
    stages = make_stages(failure=failing_at(stage))
    stages.invoke("firmwareUpdate", payload(), NOON)

    *before, failed = run_to_end(stages)

    assert [report.status for report in [*before, failed]] == statuses
    assert before[-1].patch["firmwareUpdate"]["progressPercent"] == progress
    assert "progressPercent" not in failed.patch["firmwareUpdate"]
    assert failed.patch["firmwareUpdate"]["errorCode"] == "checksum"
    assert failed.patch["firmwareUpdate"]["errorMessage"] == "does not match"
    assert failed.patch["firmwareVersion"] == "1.0.0"


def test_a_new_attempt_after_a_failure_clears_the_error() -> None:
    stages = make_stages(failure=failing_at(FirmwareStatus.DOWNLOADING))
    stages.invoke("firmwareUpdate", payload(attempt=1), NOON)
    run_to_end(stages)

    stages.invoke("firmwareUpdate", payload(attempt=2), NOON + timedelta(hours=1))

    assert run_to_end(stages)[0].patch["firmwareUpdate"]["errorCode"] is None


def reported_mid_update(status: str) -> dict[str, Any]:
    return {
        "firmwareStatus": status,
        "firmwareVersion": "2.0.0",
        "firmwareUpdate": {"rolloutId": "r1", "attempt": 3, "version": "2.4.0"},
    }


@pytest.mark.parametrize("status", ["downloading", "applying"])
def test_an_update_under_way_at_the_start_is_reported_as_interrupted(status: str) -> None:
    report = SimulatedUpdates().start(reported_mid_update(status), NOON)

    assert report.patch["firmwareStatus"] == "failed"
    assert report.patch["firmwareVersion"] == "2.0.0"
    section = report.patch["firmwareUpdate"]
    assert (section["rolloutId"], section["attempt"]) == ("r1", 3)
    assert section["errorCode"] == "interrupted"


@pytest.mark.parametrize("status", ["standBy", "completed", "failed"])
def test_an_ended_update_stays_in_the_twin_and_the_device_stands_by(status: str) -> None:
    report = SimulatedUpdates().start(reported_mid_update(status), NOON)

    assert report.patch["firmwareStatus"] == "standBy"
    assert "firmwareUpdate" not in report.patch


@pytest.mark.parametrize("status", ["applying", "completed"])
def test_a_repeated_method_after_a_restart_starts_nothing(status: str) -> None:
    stages = make_stages(reported_mid_update(status))

    response = stages.invoke("firmwareUpdate", payload("r1", attempt=3), NOON)

    assert (response.status, stages.due) == (200, None)


def test_the_next_attempt_after_an_interruption_starts() -> None:
    stages = make_stages(reported_mid_update("applying"))

    stages.invoke("firmwareUpdate", payload("r1", attempt=4), NOON)

    assert run_to_end(stages)[-1].status == "completed"


def test_a_version_option_overrides_the_twin() -> None:
    stages = make_stages({"firmwareVersion": "2.0.0"}, version="0.9")

    assert stages.version == "0.9"


@pytest.mark.parametrize(
    "reported",
    [
        {"firmwareUpdate": "r1"},
        {"firmwareUpdate": {"rolloutId": ["r1"], "attempt": {}, "version": 4}},
        {"firmwareStatus": ["downloading"], "firmwareVersion": 2},
        {"firmwareStatus": {}, "firmwareUpdate": None},
    ],
    ids=str,
)
def test_an_invalid_twin_counts_as_empty(reported: dict[str, Any]) -> None:
    report = SimulatedUpdates().start(reported, NOON)

    assert report.patch["firmwareStatus"] == "standBy"
    assert report.patch["firmwareVersion"] == "1.0.0"


def test_times_are_reported_in_utc_for_any_time_zone() -> None:
    berlin = timedelta(hours=1)
    now = NOON.astimezone(timezone(berlin))

    assert SimulatedUpdates().start({}, now).patch["logTime"] == "2026-12-01T12:00:00.000Z"


class TestTutorialDevice:
    """A device that knows only the tutorial."""

    def test_it_reports_the_tutorials_properties_and_nothing_else(self) -> None:
        stages = SimulatedUpdates(UpdateSettings(dialect=TUTORIAL))
        patches = [stages.start(reported_mid_update("applying"), NOON).patch]
        stages.invoke("firmwareUpdate", payload(), NOON)
        patches += [report.patch for report in run_to_end(stages)]

        local = str(NOON.astimezone().replace(tzinfo=None))
        assert patches[0] == {"firmwareStatus": "standBy", "logTime": local}
        assert [set(patch) for patch in patches[1:]] == [
            {"firmwareStatus", "downloadComplete"},
            {"firmwareStatus", "startedApplyingImage"},
            {"firmwareStatus", "lastFirmwareUpdate"},
        ]

    def test_its_first_report_comes_one_delay_after_the_method(self) -> None:
        stages = make_stages(dialect=TUTORIAL)
        stages.invoke("firmwareUpdate", TUTORIAL_PAYLOAD, NOON)

        assert stages.due == NOON + DELAY
        assert [report.status for report in run_to_end(stages)] == [
            "downloading",
            "applying",
            "completed",
        ]

    def test_it_does_not_know_a_repeated_attempt(self) -> None:
        stages = make_stages(dialect=TUTORIAL)
        stages.invoke("firmwareUpdate", payload(), NOON)

        assert stages.invoke("firmwareUpdate", payload(), NOON).status == 409
        run_to_end(stages)
        stages.invoke("firmwareUpdate", payload(), NOON + timedelta(hours=1))
        assert stages.due is not None
