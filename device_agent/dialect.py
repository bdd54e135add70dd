"""The two dialects of devices: how one reads a method's payload and builds its reports.

`CONTRACT` covers every field and property of the device contract. `TUTORIAL` is the dialect of the
tutorial "Use device management to initiate a device firmware update (Python/Python)", whose
property names the contract keeps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from device_agent.json_types import Patch
from device_agent.update import (
    FirmwareStatus,
    Update,
    UpdateError,
    read_request,
    read_tutorial_request,
)

type FormatTime = Callable[[datetime], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a device reads a method's payload and builds its reports."""

    read_payload: Callable[[object], Update]
    """Reads the payload of `firmwareUpdate`. Raises InvalidPayloadError."""
    format_time: FormatTime
    """Formats the times of the reported properties."""
    reports_start: bool
    """Whether `downloading` is reported at its start; else at its end, one stage delay later."""
    has_details: bool
    """Whether the device reports `firmwareVersion` and `firmwareUpdate`."""


def format_utc_time(now: datetime) -> str:
    """Format `now` in ISO 8601, in UTC, with milliseconds and `Z`."""
    return now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_tutorial_time(now: datetime) -> str:
    """Format `now` as the tutorial's `str(datetime.now())`: local time, no zone, a space for T."""
    return str(now.astimezone().replace(tzinfo=None))


CONTRACT = Dialect(
    read_payload=read_request, format_time=format_utc_time, reports_start=True, has_details=True
)
TUTORIAL = Dialect(
    read_payload=read_tutorial_request,
    format_time=format_tutorial_time,
    reports_start=False,
    has_details=False,
)

PROGRESS_PERCENT = {
    FirmwareStatus.DOWNLOADING: 0,
    FirmwareStatus.APPLYING: 50,
    FirmwareStatus.COMPLETED: 100,
}


def time_properties(status: FirmwareStatus, dialect: Dialect) -> tuple[str, ...]:
    """Return the properties that hold the time at which a device reached `status`."""
    match status:
        case FirmwareStatus.STAND_BY | FirmwareStatus.FAILED:
            return ("logTime",)
        case FirmwareStatus.DOWNLOADING:
            return () if dialect.reports_start else ("downloadComplete",)
        case FirmwareStatus.APPLYING:
            started = ("startedApplyingImage",)
            return ("downloadComplete", *started) if dialect.reports_start else started
        case FirmwareStatus.COMPLETED:
            return ("lastFirmwareUpdate",)


def build_status_patch(dialect: Dialect, status: FirmwareStatus, now: datetime) -> Patch:
    """Build the patch of `firmwareStatus` and of the times that belong to it."""
    written = dialect.format_time(now)
    return {"firmwareStatus": status.value} | dict.fromkeys(
        time_properties(status, dialect), written
    )


def build_update_patch(
    update: Update, status: FirmwareStatus, now: datetime, error: UpdateError | None = None
) -> Patch:
    """Build the patch of `firmwareUpdate`; a failed update keeps the progress it had reached."""
    section = {
        "rolloutId": update.rollout_id,
        "attempt": update.attempt,
        "version": update.version,
        "errorCode": error.code if error else None,
        "errorMessage": error.message if error else None,
        "updatedAt": format_utc_time(now),
    }
    if status in PROGRESS_PERCENT:
        section["progressPercent"] = PROGRESS_PERCENT[status]
    return {"firmwareUpdate": section}


def build_progress_patch(percent: int, now: datetime) -> Patch:
    """Build the patch of `firmwareUpdate` that changes its progress only."""
    return {"firmwareUpdate": {"progressPercent": percent, "updatedAt": format_utc_time(now)}}
