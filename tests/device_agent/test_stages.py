"""Test the firmware stages without an SDK or a clock."""

from datetime import timedelta
from typing import Any

import pytest

from device_agent.update import FirmwareStatus
from simulator.simulated_device.simulated_updates import (
    SimulatedUpdates,
)
from tests.device_agent.simulated_stages import (
    DELAY,
    NOON,
    STARTED,
    TUTORIAL_PAYLOAD,
    failing_at,
    make_stages,
    payload,
    run_to_end,
)


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
