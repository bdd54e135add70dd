"""The stages of a firmware update on one device: rules without I/O, clock or threads.

The rules:

1. A method's response never waits for work. A new update gets 200 and the tutorial's text; the
   caller of `invoke` may decline the update with its own response.
2. A device runs one update at a time. A second one gets 409 while the first is under way.
3. An update with a rollout id runs at most once per attempt. The same attempt again, or an earlier
   attempt that arrives late, gets the first response and starts nothing. A declined attempt has
   not run.
4. An update reports downloading, applying, completed, and never moves back. `failed` may replace
   any of them.

What a stage does and when it ends is decided outside: the agent downloads and installs, a
simulated device waits.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from device_agent.dialect import (
    CONTRACT,
    Dialect,
    build_progress_patch,
    build_status_patch,
    build_update_patch,
)
from device_agent.json_types import Patch
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
    """The response to a direct method."""

    status: int
    """The status, as in HTTP."""
    payload: dict[str, str]
    """The JSON payload; `Response` holds the text for people."""

    def __str__(self) -> str:
        """Return the response in words, for a log."""
        return f"{self.status}: {self.payload['Response']}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A patch for the reported properties, with its content for the log."""

    status: FirmwareStatus
    """The status that is reported."""
    patch: Patch
    """The patch to send to the hub."""
    version: str
    """The firmware that runs."""
    update: Update | None = None
    """The update that is reported; None for standBy."""
    error: UpdateError | None = None
    """Why the update failed; None if it did not."""

    def __str__(self) -> str:
        """Return the report in words, for a log."""
        text = f"{self.status} {self.update or f'with firmware {self.version}'}"
        return f"{text}: {self.error.code}, {self.error.message}" if self.error else text


type Admit = Callable[[object, Update], MethodResponse | None]
"""Returns the response that declines a new update, or None to let the update start."""


def method_response(status: int, text: str, **more: str) -> MethodResponse:
    """Return a response with `text` for people and `more` for programs."""
    return MethodResponse(status=status, payload={"Response": text} | more)


@dataclass(slots=True)
class FirmwareStages:
    """The firmware of one device. Times passed in are aware and never decrease."""

    dialect: Dialect = CONTRACT
    """How payloads are read and reports are built."""
    version: str = FACTORY_VERSION
    """The firmware that runs."""
    update: Update | None = None
    """The update under way; None if there is no update."""
    status: FirmwareStatus = FirmwareStatus.STAND_BY
    """The status of the update under way that was reported last."""
    attempts: dict[str, int] = field(default_factory=dict)
    """The latest attempt of each remembered rollout, by rollout id."""

    def invoke(self, method: str, payload: object, admit: Admit | None = None) -> MethodResponse:
        """Respond to a direct method; an admitted new update becomes `update`."""
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
            self._start(update)
        return method_response(200, "Firmware update started")

    def stand_by(self, now: datetime) -> Report:
        """Return the report of a device that has started and has no update to continue."""
        self.update, self.status = None, FirmwareStatus.STAND_BY
        return self._report(FirmwareStatus.STAND_BY, now)

    @property
    def next_status(self) -> FirmwareStatus:
        """The next status of the update under way, unless it fails."""
        return _NEXT_STATUS[self.status]

    def advance(self, now: datetime) -> Report:
        """Move the update under way to its next status; set `version` before completing."""
        self.status = self.next_status
        update = self.update
        if self.status is FirmwareStatus.COMPLETED:
            self.update = None
        return self._report(self.status, now, update)

    def report_progress(self, percent: int, now: datetime) -> Report:
        """Return a report of the progress in percent, without a new status."""
        patch = build_progress_patch(percent, now)
        return Report(status=self.status, patch=patch, version=self.version, update=self.update)

    def fail(self, error: UpdateError, now: datetime) -> Report:
        """End the update under way as failed."""
        update, self.update = self.update or Update(), None
        self.status = FirmwareStatus.FAILED
        return self._report(FirmwareStatus.FAILED, now, update, error)

    def _is_known(self, update: Update) -> bool:
        if update.rollout_id is None or update.attempt is None:
            return False
        return update.attempt <= self.attempts.get(update.rollout_id, 0)

    def _start(self, update: Update) -> None:
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
