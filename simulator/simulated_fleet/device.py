"""Simulate one device of a fleet without its connection: its stages and its fault.

Does no I/O. Times are seconds since 1970 and never decrease.
"""

from datetime import UTC, datetime, timedelta

from device_agent.json_types import JsonObject, Patch
from device_agent.stages import MethodResponse, Report
from device_agent.update import FirmwareStatus
from simulator.simulated_device.simulated_updates import (
    SimulatedUpdates,
    UpdateSettings,
    failure_at,
)
from simulator.simulated_fleet.shares import OTHER_VERSION, Fault

ERROR_CODE = "simulatedFailure"


def make_update_settings(fault: Fault, stage_seconds: float) -> UpdateSettings:
    """Return the settings of all devices with `fault`."""
    failure = failure_at("applying", ERROR_CODE) if fault is Fault.FAILING else None
    return UpdateSettings(
        stage_delay=timedelta(seconds=stage_seconds),
        failure=failure,
        runs_instead=OTHER_VERSION if fault is Fault.WRONG_VERSION else None,
    )


class SimulatedDevice:
    """A simulated device; its next stage waits until the hub has acknowledged the last report."""

    __slots__ = (
        "_fault_at",
        "_offline_seconds",
        "_old_version",
        "device_id",
        "fault",
        "is_away",
        "reverted",
        "stages",
        "status",
        "unacknowledged",
    )

    def __init__(
        self, device_id: str, fault: Fault, update_settings: UpdateSettings, offline_seconds: float
    ) -> None:
        """Set `offline_seconds` to how long an offline device is away, and then connected again."""
        self.device_id = device_id
        self.fault = fault
        self.stages = SimulatedUpdates(update_settings)
        self.unacknowledged: Report | None = None
        self.status: FirmwareStatus | None = None
        """The status reported last; None until the twin was read."""
        self.is_away = False
        self.reverted = False
        self._old_version: str | None = None
        self._fault_at: float | None = None
        self._offline_seconds = offline_seconds

    @property
    def due(self) -> float | None:
        """When `advance` has something to do; None if a report or nothing is under way."""
        times = [self._fault_at]
        stage = self._stage_due
        if stage is not None and self.unacknowledged is None:
            times.append(stage)
        return min((time for time in times if time is not None), default=None)

    @property
    def patch(self) -> Patch | None:
        """The patch that the hub has not acknowledged yet; None if there is no such patch."""
        return self.unacknowledged.patch if self.unacknowledged else None

    def start(self, reported: JsonObject, now: float) -> None:
        """Start the device with the twin's reported properties."""
        self._report(self.stages.start(reported, _time(now)))

    def invoke(self, method: str, payload: object, now: float) -> MethodResponse:
        """Respond to a direct method at once."""
        version = self.stages.version
        was_idle = self.stages.due is None
        response = self.stages.invoke(method, payload, _time(now))
        if was_idle and self.stages.due is not None:
            self._old_version, self.reverted = version, False
        return response

    def acknowledge(self, now: float) -> None:
        """Record that the hub has the report."""
        self.unacknowledged = None
        if self.fault is Fault.OFFLINE and self._fault_at is None:
            self._fault_at = now
        if self.fault is Fault.REVERTING and self.status is FirmwareStatus.COMPLETED:
            self._fault_at = now + self.stages.settings.stage_delay.total_seconds()

    def advance(self, now: float) -> None:
        """Do what is due: the next stage, or the fault."""
        if self._fault_at is not None and now >= self._fault_at:
            self._apply_fault(now)
        if self.unacknowledged is None and self._stage_due is not None:
            report = self.stages.advance(_time(now))
            if report is not None:
                self._report(report)

    @property
    def _stage_due(self) -> float | None:
        due = self.stages.due
        hangs = self.fault is Fault.HANGING and self.status is FirmwareStatus.DOWNLOADING
        return None if due is None or hangs else due.timestamp()

    def _apply_fault(self, now: float) -> None:
        if self.fault is Fault.OFFLINE:
            self.is_away = not self.is_away
            self._fault_at = now + self._offline_seconds
            return
        self._fault_at = None
        if self.stages.due is None:  # no other update has started meanwhile
            self.reverted = True
            self._report(self.stages.start({"firmwareVersion": self._old_version}, _time(now)))

    def _report(self, report: Report) -> None:
        self.unacknowledged, self.status = report, report.status


def _time(now: float) -> datetime:
    return datetime.fromtimestamp(now, UTC)
