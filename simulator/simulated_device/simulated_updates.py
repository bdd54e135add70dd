"""Updates that only take time: what a device does that has no firmware to install.

Each stage lasts as long as the one before it. A device of this kind has no memory of its own: as
it starts it reads its twin, remembers the update that it finds there, and reports an update that
was under way as failed with errorCode `interrupted`.

Whoever runs it asks `due`, calls `advance` when that time has come, and sends the report.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from device_agent.dialect import CONTRACT, Dialect
from device_agent.stages import FACTORY_VERSION, FirmwareStages, MethodResponse, Report
from device_agent.update import (
    UNDER_WAY,
    FirmwareStatus,
    Json,
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
    """The stage at whose end every update fails, and what is reported then."""

    stage: Literal[FirmwareStatus.DOWNLOADING, FirmwareStatus.APPLYING]
    error: UpdateError


def failure_at(stage: str, code: str) -> StageFailure:
    """A failure at the end of `downloading` or `applying`. Raises ValueError for other stages."""
    error = UpdateError(code=code, message=f"simulated failure at {stage}")
    match FirmwareStatus(stage):
        case (FirmwareStatus.DOWNLOADING | FirmwareStatus.APPLYING) as known:
            return StageFailure(stage=known, error=error)
    raise ValueError(f"an update cannot fail at {stage}")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateSettings:
    """How a simulated device behaves; `version` None means what the twin says, else 1.0.0."""

    stage_delay: timedelta = TUTORIAL_STAGE_DELAY
    failure: StageFailure | None = None
    version: str | None = None
    dialect: Dialect = CONTRACT


@dataclass(slots=True)
class SimulatedUpdates:
    """One device's firmware. Times passed in are aware and must not go back."""

    update_settings: UpdateSettings = field(default_factory=UpdateSettings)
    due: datetime | None = None
    """When `advance` has something to report next; None while no update is under way."""
    _stages: FirmwareStages = field(init=False)

    def __post_init__(self) -> None:
        self._stages = FirmwareStages(self.update_settings.dialect)

    @property
    def version(self) -> str:
        """The firmware that runs now."""
        return self._stages.version

    def start(self, reported: Json, now: datetime) -> Report:
        """Switch on: take up what the twin's reported properties tell, and give the first report.

        `reported` may be empty: a device without memory of an earlier life.
        """
        self.due = None
        if not self.update_settings.dialect.has_details:
            return self._stages.stand_by(now)
        self._take_up_version(reported)
        update = read_reported_update(reported)
        if update and update.rollout_id and update.attempt:
            self._stages.attempts[update.rollout_id] = update.attempt
        if reported.get("firmwareStatus") in UNDER_WAY:
            self._stages.update = update or Update()
            return self._stages.fail(INTERRUPTED, now)
        return self._stages.stand_by(now)

    def invoke(self, method: str, payload: object, now: datetime) -> MethodResponse:
        """Answer a direct method; a new update is then due at `due`."""
        response = self._stages.invoke(method, payload)
        if self.due is None and self._stages.update is not None:
            at_once = self.update_settings.dialect.reports_start
            self.due = now if at_once else now + self.update_settings.stage_delay
        return response

    def advance(self, now: datetime) -> Report | None:
        """Move on by one stage if that is due, and give its report."""
        if self.due is None or now < self.due:
            return None
        failure, status = self.update_settings.failure, self._stages.next_status
        if failure and _REPORTED_AFTER[failure.stage] is status:
            self.due = None
            return self._stages.fail(failure.error, now)
        ends = status is FirmwareStatus.COMPLETED
        self.due = None if ends else now + self.update_settings.stage_delay
        if ends and self._stages.update is not None:
            self._stages.version = self._stages.update.version or self.version
        return self._stages.advance(now)

    def _take_up_version(self, reported: Json) -> None:
        found = reported.get("firmwareVersion")
        remembered = found if isinstance(found, str) and found else FACTORY_VERSION
        self._stages.version = self.update_settings.version or remembered
