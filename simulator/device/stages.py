"""The stages of a firmware update on one device, as a pure machine: no I/O, no clock, no thread.

The rules:

1. A method's answer never waits for work. A new update is answered with 200 and the tutorial's
   text, and its first report is due at once (the tutorial's own device: one delay later).
2. One update at a time: another one is answered with 409 while the first is under way.
3. An update with a rollout id runs at most once per attempt. The same attempt again, or an earlier
   one that comes late, gets the first answer and starts nothing.
4. An update reports downloading, applying, completed, one stage delay apart, and never goes back.
   A failure takes the place of the report that would follow the stage it is set for.
5. A device that starts reads its twin: it remembers the update it finds there, and reports an
   update that was under way as failed with errorCode `interrupted`.

Whoever runs the machine asks `due`, calls `advance` when that time has come, and sends the report.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from simulator.device.dialect import CONTRACT, Dialect, Patch, status_patch, update_patch
from simulator.device.update import (
    UNDER_WAY,
    FirmwareStatus,
    Json,
    UnusablePayloadError,
    Update,
    UpdateError,
    reported_update,
)

METHOD_NAME = "firmwareUpdate"
FACTORY_VERSION = "1.0.0"
# The tutorial's device sleeps 15 s before each of its three reports.
TUTORIAL_STAGE_DELAY = timedelta(seconds=15)
INTERRUPTED = UpdateError(code="interrupted", message="the device restarted during the update")

_NEXT_STATUS = {
    FirmwareStatus.DOWNLOADING: FirmwareStatus.APPLYING,
    FirmwareStatus.APPLYING: FirmwareStatus.COMPLETED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodAnswer:
    """A direct method's status and JSON payload."""

    status: int
    payload: dict[str, str]


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
class Behaviour:
    """How a simulated device behaves; `version` None means what the twin says, else 1.0.0."""

    stage_delay: timedelta = TUTORIAL_STAGE_DELAY
    failure: StageFailure | None = None
    version: str | None = None
    dialect: Dialect = CONTRACT


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A patch for the reported properties, with what it says for those who log it."""

    status: FirmwareStatus
    patch: Patch
    update: Update | None = None
    error: UpdateError | None = None


@dataclass(slots=True)
class FirmwareStages:
    """One device's firmware. Times passed in are aware and must not go back."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    version: str = FACTORY_VERSION
    due: datetime | None = None
    """When `advance` has something to report next; None while no update is under way."""
    _update: Update | None = None
    _next: FirmwareStatus = FirmwareStatus.DOWNLOADING
    _latest_attempt: dict[str, int] = field(default_factory=dict)

    def start(self, reported: Json, now: datetime) -> Report:
        """Switch on: take up what the twin's reported properties tell, and give the first report.

        `reported` may be empty: a device without memory of an earlier life.
        """
        self._update, self.due = None, None
        if not self.behaviour.dialect.details:
            return self._standing_by(now)
        self._take_up_version(reported)
        update = reported_update(reported)
        if update and update.rollout_id and update.attempt:
            self._latest_attempt[update.rollout_id] = update.attempt
        if reported.get("firmwareStatus") in UNDER_WAY:
            return self._failed(update or Update(), INTERRUPTED, now)
        return self._standing_by(now)

    def invoke(self, method: str, payload: object, now: datetime) -> MethodAnswer:
        """Answer a direct method; a new update is then due at `due`."""
        if method != METHOD_NAME:
            return _answer(501, f"This device does not know the method {method}")
        try:
            update = self.behaviour.dialect.read_payload(payload)
        except UnusablePayloadError as error:
            return _answer(400, str(error))
        if not self._is_known(update):
            if self.due is not None:
                return _answer(409, "Another firmware update is under way")
            self._begin(update, now)
        return _answer(200, "Firmware update started")

    def advance(self, now: datetime) -> Report | None:
        """Move on by one stage if that is due, and give its report."""
        update, status = self._update, self._next
        if self.due is None or update is None or now < self.due:
            return None
        failure = self.behaviour.failure
        if failure and _NEXT_STATUS[failure.stage] is status:
            return self._failed(update, failure.error, now)
        if status is FirmwareStatus.COMPLETED:
            return self._completed(update, now)
        self._next = _NEXT_STATUS[status]
        self.due = now + self.behaviour.stage_delay
        return self._report(status, now, update)

    def _take_up_version(self, reported: Json) -> None:
        found = reported.get("firmwareVersion")
        remembered = found if isinstance(found, str) and found else FACTORY_VERSION
        self.version = self.behaviour.version or remembered

    def _is_known(self, update: Update) -> bool:
        if update.rollout_id is None or update.attempt is None:
            return False
        return update.attempt <= self._latest_attempt.get(update.rollout_id, 0)

    def _begin(self, update: Update, now: datetime) -> None:
        if update.rollout_id and update.attempt:
            self._latest_attempt[update.rollout_id] = update.attempt
        self._update, self._next = update, FirmwareStatus.DOWNLOADING
        at_once = self.behaviour.dialect.reports_start
        self.due = now if at_once else now + self.behaviour.stage_delay

    def _completed(self, update: Update, now: datetime) -> Report:
        self._update, self.due = None, None
        self.version = update.version or self.version
        return self._report(FirmwareStatus.COMPLETED, now, update)

    def _failed(self, update: Update, error: UpdateError, now: datetime) -> Report:
        self._update, self.due = None, None
        return self._report(FirmwareStatus.FAILED, now, update, error)

    def _standing_by(self, now: datetime) -> Report:
        return self._report(FirmwareStatus.STAND_BY, now)

    def _report(
        self,
        status: FirmwareStatus,
        now: datetime,
        update: Update | None = None,
        error: UpdateError | None = None,
    ) -> Report:
        patch = status_patch(self.behaviour.dialect, status, now)
        if self.behaviour.dialect.details:
            if status not in UNDER_WAY:
                patch["firmwareVersion"] = self.version
            if update is not None:
                patch |= update_patch(update, status, now, error)
        return Report(status=status, patch=patch, update=update, error=error)


def _answer(status: int, text: str) -> MethodAnswer:
    return MethodAnswer(status=status, payload={"Response": text})
