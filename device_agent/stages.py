"""The stages of a firmware update on one device, as a pure machine: no I/O, no clock, no thread.

The rules:

1. A method's response never waits for work. A new update is answered with 200 and the tutorial's
   text; whoever runs the machine may decline it, with an response of its own.
2. One update at a time: another one is answered with 409 while the first is under way.
3. An update with a rollout id runs at most once per attempt. The same attempt again, or an earlier
   one that comes late, gets the first response and starts nothing. One that was declined never ran.
4. An update reports downloading, applying, completed, and never goes back. `failed` may take the
   place of any of them.

What a stage does, and when it is done, is for whoever runs the machine: `timed` lets time pass,
the agent downloads and installs.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from device_agent.dialect import (
    CONTRACT,
    Dialect,
    Patch,
    build_progress_patch,
    build_status_patch,
    build_update_patch,
)
from device_agent.update import (
    UNDER_WAY,
    FirmwareStatus,
    InvalidPayloadError,
    Update,
    UpdateError,
)

METHOD_NAME = "firmwareUpdate"
FACTORY_VERSION = "1.0.0"

_NEXT_STATUS = {
    FirmwareStatus.STAND_BY: FirmwareStatus.DOWNLOADING,
    FirmwareStatus.DOWNLOADING: FirmwareStatus.APPLYING,
    FirmwareStatus.APPLYING: FirmwareStatus.COMPLETED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodResponse:
    """A direct method's status and JSON payload."""

    status: int
    payload: dict[str, str]

    def __str__(self) -> str:
        """In words, for a log."""
        return f"{self.status}: {self.payload['Response']}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A patch for the reported properties, with what it says for those who log it."""

    status: FirmwareStatus
    patch: Patch
    version: str
    """The firmware that runs."""
    update: Update | None = None
    error: UpdateError | None = None

    def __str__(self) -> str:
        """In words, for a log."""
        text = f"{self.status} {self.update or f'with firmware {self.version}'}"
        return f"{text}: {self.error.code}, {self.error.message}" if self.error else text


type Admit = Callable[[object, Update], MethodResponse | None]
"""Gives the response that declines a new update; None lets it begin."""


def method_response(status: int, text: str, **more: str) -> MethodResponse:
    """An response with `text` for people, and what programs are to read of it."""
    return MethodResponse(status=status, payload={"Response": text} | more)


@dataclass(slots=True)
class FirmwareStages:
    """One device's firmware. Times passed in are aware and must not go back."""

    dialect: Dialect = CONTRACT
    version: str = FACTORY_VERSION
    update: Update | None = None
    """The update under way."""
    status: FirmwareStatus = FirmwareStatus.STAND_BY
    """What was reported last of the update under way."""
    attempts: dict[str, int] = field(default_factory=dict)
    """The latest attempt of each rollout that is remembered."""

    def invoke(self, method: str, payload: object, admit: Admit | None = None) -> MethodResponse:
        """Answer a direct method; a new update that is not declined is `update` from then on."""
        if method != METHOD_NAME:
            return method_response(501, f"This device does not know the method {method}")
        try:
            update = self.dialect.read_payload(payload)
        except InvalidPayloadError as error:
            return method_response(400, str(error))
        if not self._is_known(update):
            if self.update is not None:
                return method_response(409, "Another firmware update is under way")
            declined = admit(payload, update) if admit else None
            if declined is not None:
                return declined
            self._begin(update)
        return method_response(200, "Firmware update started")

    def stand_by(self, now: datetime) -> Report:
        """What a device reports that has been switched on and has no update to go on with."""
        self.update, self.status = None, FirmwareStatus.STAND_BY
        return self._report(FirmwareStatus.STAND_BY, now)

    @property
    def next_status(self) -> FirmwareStatus:
        """What the update under way comes to next, unless it fails."""
        return _NEXT_STATUS[self.status]

    def advance(self, now: datetime) -> Report:
        """The update under way has come to its next status; `version` is what runs by then."""
        self.status = self.next_status
        update = self.update
        if self.status is FirmwareStatus.COMPLETED:
            self.update = None
        return self._report(self.status, now, update)

    def report_progress(self, percent: int, now: datetime) -> Report:
        """The update under way is as far as `percent`, with no new status."""
        patch = build_progress_patch(percent, now)
        return Report(status=self.status, patch=patch, version=self.version, update=self.update)

    def fail(self, error: UpdateError, now: datetime) -> Report:
        """The update under way has failed."""
        update, self.update = self.update or Update(), None
        self.status = FirmwareStatus.FAILED
        return self._report(FirmwareStatus.FAILED, now, update, error)

    def _is_known(self, update: Update) -> bool:
        if update.rollout_id is None or update.attempt is None:
            return False
        return update.attempt <= self.attempts.get(update.rollout_id, 0)

    def _begin(self, update: Update) -> None:
        if update.rollout_id and update.attempt:
            self.attempts[update.rollout_id] = update.attempt
        self.update, self.status = update, FirmwareStatus.STAND_BY

    def _report(
        self,
        status: FirmwareStatus,
        now: datetime,
        update: Update | None = None,
        error: UpdateError | None = None,
    ) -> Report:
        patch = build_status_patch(self.dialect, status, now)
        if self.dialect.has_details:
            if status not in UNDER_WAY:
                patch["firmwareVersion"] = self.version
            if update is not None:
                patch |= build_update_patch(update, status, now, error)
        return Report(status=status, patch=patch, version=self.version, update=update, error=error)
