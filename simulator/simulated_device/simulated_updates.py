"""Simulate updates that only take time, for a device without firmware to install.

Each stage takes the same time. Such a device has no storage of its own: at its start it reads its
twin, remembers the update named there, and reports an update that was under way as failed with
errorCode `interrupted`.

The caller reads `due`, calls `advance` at that time, and sends the report.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from device_agent.dialect import CONTRACT, Dialect
from device_agent.json_types import JsonObject
from device_agent.stages import FACTORY_VERSION, FirmwareStages, MethodResponse, Report
from device_agent.update import (
    UNDER_WAY,
    FirmwareStatus,
    Update,
    UpdateError,
    read_reported_update,
)

# The tutorial's device sleeps 15 s before each of its three reports.
TUTORIAL_STAGE_DELAY = timedelta(seconds=15)
INTERRUPTED = UpdateError(code="interrupted", message="the device restarted during the update")

_REPORTED_AFTER = {
    FirmwareStatus.DOWNLOADING: FirmwareStatus.APPLYING,
    FirmwareStatus.APPLYING: FirmwareStatus.COMPLETED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFailure:
    """Lets updates fail at the end of one stage."""

    stage: Literal[FirmwareStatus.DOWNLOADING, FirmwareStatus.APPLYING]
    """The stage at whose end the update fails."""
    error: UpdateError
    """What the device reports."""
    versions: frozenset[str] | None = None
    """The firmware whose updates fail; None: all."""


def failure_at(stage: str, code: str) -> StageFailure:
    """Return a failure at the end of `downloading` or `applying`. Raises ValueError otherwise."""
    error = UpdateError(code=code, message=f"simulated failure at {stage}")
    match FirmwareStatus(stage):
        case (FirmwareStatus.DOWNLOADING | FirmwareStatus.APPLYING) as known:
            return StageFailure(stage=known, error=error)
    raise ValueError(f"an update cannot fail at {stage}; expected downloading or applying")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateSettings:
    """How a device's updates are simulated."""

    stage_delay: timedelta = TUTORIAL_STAGE_DELAY
    """How long each stage takes."""
    failure: StageFailure | None = None
    """Lets updates fail; None means no fault."""
    version: str | None = None
    """The first firmware; None means the twin's version, or else 1.0.0."""
    runs_instead: str | None = None
    """The firmware that runs after every update; None means the requested one."""
    dialect: Dialect = CONTRACT
    """How payloads are read and reports are built."""


@dataclass(slots=True)
class SimulatedUpdates:
    """The firmware of one device. Times passed in are aware and never decrease."""

    settings: UpdateSettings = field(default_factory=UpdateSettings)
    due: datetime | None = None
    """When `advance` has the next report; None while no update is under way."""
    _stages: FirmwareStages = field(init=False)

    def __post_init__(self) -> None:
        self._stages = FirmwareStages(self.settings.dialect)

    @property
    def version(self) -> str:
        """The firmware that runs."""
        return self._stages.version

    def start(self, reported: JsonObject, now: datetime) -> Report:
        """Start the device with the twin's reported properties and return its first report.

        `reported` is empty for a new device.
        """
        self.due = None
        if not self.settings.dialect.has_details:
            return self._stages.stand_by(now)
        self._read_version(reported)
        update = read_reported_update(reported)
        if update and update.rollout_id and update.attempt:
            self._stages.attempts[update.rollout_id] = update.attempt
        if reported.get("firmwareStatus") in UNDER_WAY:
            self._stages.update = update or Update()
            return self._stages.fail(INTERRUPTED, now)
        return self._stages.stand_by(now)

    def invoke(self, method: str, payload: object, now: datetime) -> MethodResponse:
        """Respond to a direct method; an accepted update sets `due`."""
        response = self._stages.invoke(method, payload)
        if self.due is None and self._stages.update is not None:
            reports_start = self.settings.dialect.reports_start
            self.due = now if reports_start else now + self.settings.stage_delay
        return response

    def advance(self, now: datetime) -> Report | None:
        """Move to the next stage if it is due and return its report; None if it is not due."""
        if self.due is None or now < self.due:
            return None
        failure, status = self._failure(), self._stages.next_status
        if failure and _REPORTED_AFTER[failure.stage] is status:
            self.due = None
            return self._stages.fail(failure.error, now)
        ends = status is FirmwareStatus.COMPLETED
        self.due = None if ends else now + self.settings.stage_delay
        if ends and self._stages.update is not None:
            requested = self._stages.update.version or self.version
            self._stages.version = self.settings.runs_instead or requested
        return self._stages.advance(now)

    def _failure(self) -> StageFailure | None:
        """Return the failure that the present update runs into."""
        failure, update = self.settings.failure, self._stages.update
        if failure is None or failure.versions is None:
            return failure
        return failure if update is not None and update.version in failure.versions else None

    def _read_version(self, reported: JsonObject) -> None:
        found = reported.get("firmwareVersion")
        remembered = found if isinstance(found, str) and found else FACTORY_VERSION
        self._stages.version = self.settings.version or remembered
