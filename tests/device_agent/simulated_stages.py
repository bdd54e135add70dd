"""Build simulated updates for the tests of the firmware stages."""

from datetime import UTC, datetime, timedelta
from typing import Any

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


def reported_mid_update(status: str) -> dict[str, Any]:
    return {
        "firmwareStatus": status,
        "firmwareVersion": "2.0.0",
        "firmwareUpdate": {"rolloutId": "r1", "attempt": 3, "version": "2.4.0"},
    }
