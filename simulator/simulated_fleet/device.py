"""One light device without its connection: the firmware's stages, and what its fault spoils.

Pure: times are seconds since 1970 and must not go back.
"""

from datetime import UTC, datetime, timedelta

from device_agent.dialect import Patch
from device_agent.stages import MethodResponse, Report
from device_agent.update import FirmwareStatus, Json
from simulator.simulated_device.simulated_updates import (
    SimulatedUpdates,
    UpdateSettings,
    failure_at,
)
from simulator.simulated_fleet.shares import Fault

ERROR_CODE = "simulatedFailure"


def update_settings(fault: Fault, stage_seconds: float) -> UpdateSettings:
    """What the stages are to do; one record serves all devices of a fault."""
    failure = failure_at("applying", ERROR_CODE) if fault is Fault.FAILING else None
    return UpdateSettings(stage_delay=timedelta(seconds=stage_seconds), failure=failure)


class SimulatedDevice:
    """One report at a time: the next stage waits until the hub has the last one."""

    __slots__ = (
        "_old_version",
        "_turn_at",
        "_turn_seconds",
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
        """`offline_seconds` is how long an offline device is away, and then there again."""
        self.device_id = device_id
        self.fault = fault
        self.stages = SimulatedUpdates(update_settings)
        self.unacknowledged: Report | None = None
        self.status: FirmwareStatus | None = None
        """As last reported; None until the twin has been read."""
        self.is_away = False
        self.reverted = False
        self._old_version: str | None = None
        self._turn_at: float | None = None
        self._turn_seconds = offline_seconds

    @property
    def due(self) -> float | None:
        """When `advance` has something to do next; a report under way holds the stages up."""
        times = [self._turn_at]
        stage = self._stage_due
        if stage is not None and self.unacknowledged is None:
            times.append(stage)
        return min((time for time in times if time is not None), default=None)

    @property
    def patch(self) -> Patch | None:
        """What the hub has not acknowledged yet; said again, it says the same."""
        return self.unacknowledged.patch if self.unacknowledged else None

    def start(self, reported: Json, now: float) -> None:
        """Switch on, with what the twin remembers."""
        self._report(self.stages.start(reported, _time(now)))

    def invoke(self, method: str, payload: object, now: float) -> MethodResponse:
        """Answer a direct method at once."""
        version = self.stages.version
        was_idle = self.stages.due is None
        answer = self.stages.invoke(method, payload, _time(now))
        if was_idle and self.stages.due is not None:
            self._old_version, self.reverted = version, False
        return answer

    def acknowledged(self, now: float) -> None:
        """The hub has the report."""
        self.unacknowledged = None
        if self.fault is Fault.OFFLINE and self._turn_at is None:
            self._turn_at = now
        if self.fault is Fault.REVERTING and self.status is FirmwareStatus.COMPLETED:
            self._turn_at = now + self.stages.update_settings.stage_delay.total_seconds()

    def advance(self, now: float) -> None:
        """Do what is due: a stage, or what the fault has in store."""
        if self._turn_at is not None and now >= self._turn_at:
            self._turn(now)
        if self.unacknowledged is None and self._stage_due is not None:
            report = self.stages.advance(_time(now))
            if report is not None:
                self._report(report)

    @property
    def _stage_due(self) -> float | None:
        due = self.stages.due
        hangs = self.fault is Fault.HANGING and self.status is FirmwareStatus.DOWNLOADING
        return None if due is None or hangs else due.timestamp()

    def _turn(self, now: float) -> None:
        if self.fault is Fault.OFFLINE:
            self.is_away = not self.is_away
            self._turn_at = now + self._turn_seconds
            return
        self._turn_at = None
        if self.stages.due is None:  # no other update has begun in between
            self.reverted = True
            self._report(self.stages.start({"firmwareVersion": self._old_version}, _time(now)))

    def _report(self, report: Report) -> None:
        self.unacknowledged, self.status = report, report.status


def _time(now: float) -> datetime:
    return datetime.fromtimestamp(now, UTC)
