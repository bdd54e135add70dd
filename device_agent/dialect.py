"""The two ways in which devices talk about an update.

`CONTRACT` knows every field and property of the device contract; `TUTORIAL` is the device of the
tutorial "Use device management to initiate a device firmware update (Python/Python)", whose
property names the contract keeps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from device_agent.update import (
    FirmwareStatus,
    Update,
    UpdateError,
    read_request,
    read_tutorial_request,
)

type Patch = dict[str, Any]
"""A merge patch for the reported properties; None removes a property."""

type FormatTime = Callable[[datetime], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a device reads a method's payload and words its reports."""

    read_payload: Callable[[object], Update]
    format_time: FormatTime
    reports_start: bool
    """Whether `downloading` is reported as it begins, or with its end, one stage delay later."""
    has_details: bool
    """Whether `firmwareVersion` and `firmwareUpdate` are known."""


def format_utc_time(now: datetime) -> str:
    """`now` in ISO 8601, UTC, milliseconds and `Z`."""
    return now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_tutorial_time(now: datetime) -> str:
    """`now` as the tutorial's `str(datetime.now())`: local, without a zone, a space for the T."""
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
    """The properties that hold the time at which a device came to `status`."""
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
    """`firmwareStatus` with the times that belong to it."""
    written = dialect.format_time(now)
    return {"firmwareStatus": status.value} | dict.fromkeys(
        time_properties(status, dialect), written
    )


def build_update_patch(
    update: Update, status: FirmwareStatus, now: datetime, error: UpdateError | None = None
) -> Patch:
    """`firmwareUpdate` of the contract; a failed update keeps the progress it had reached."""
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
    """How far the update is that was told of before."""
    return {"firmwareUpdate": {"progressPercent": percent, "updatedAt": format_utc_time(now)}}
