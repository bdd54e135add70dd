"""Test how a device continues from its twin after a restart."""

from datetime import timedelta, timezone
from typing import Any

import pytest

from simulator.simulated_device.simulated_updates import (
    SimulatedUpdates,
)
from tests.device_agent.simulated_stages import (
    NOON,
    make_stages,
    payload,
    reported_mid_update,
    run_to_end,
)


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
