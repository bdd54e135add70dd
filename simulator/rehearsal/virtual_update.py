"""One firmware update on a virtual device: every report is planned when the update begins.

Nothing happens while time passes: what was reported by a time is computed when the device is
read. Times are seconds since 1970.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum, auto
from functools import cache
from itertools import takewhile
from math import inf
from typing import Any, NamedTuple

from simulator.simulated_fleet.shares import OTHER_VERSION, Fault

ERROR_CODE = "simulatedFailure"
_ERROR_MESSAGE = "simulated failure at applying"
FACTORY_VERSION = "1.0.0"
_FACTORY_AT = datetime(2020, 1, 1, tzinfo=UTC)
_FACTORY_TEXT = "2020-01-01T00:00:00Z"
# Index of the report that ends an update; downloading and applying come before it.
_END = 2


class ReportedProperties(NamedTuple):
    """Reported properties, and when the hub stored each. Shared between reads: do not change."""

    reported: dict[str, Any]
    reported_at: dict[str, datetime]


class Running(StrEnum):
    """The version that a device runs after a report."""

    OLD = auto()
    REQUESTED = auto()
    OTHER = auto()


class Stage(NamedTuple):
    """What one report contains."""

    status: str
    time_properties: tuple[str, ...]
    """Names of the properties that hold the time of the report."""
    percent: int | None
    """Progress of the update; None if the report is not about an update."""
    running: Running | None = None
    """Which version the device runs from this report on; None if the report does not say."""


@cache
def factory_properties(*, tutorial_only: bool) -> ReportedProperties:
    """Return what a device reported at first start. One record serves all devices."""
    values = {"firmwareStatus": "standBy", "logTime": _FACTORY_TEXT}
    if not tutorial_only:
        values["firmwareVersion"] = FACTORY_VERSION
    return ReportedProperties(values, dict.fromkeys(values, _FACTORY_AT))


@cache
def plan_stages(fault: Fault, *, tutorial_only: bool) -> tuple[Stage, ...]:
    """Return the reports of one update on a device with this fault.

    A device of the tutorial reports the end of the download; all others report its beginning.
    """
    downloaded, applied = ("downloadComplete",), ("startedApplyingImage",)
    first = Stage("downloading", downloaded if tutorial_only else (), 0)
    second = Stage("applying", applied if tutorial_only else downloaded + applied, 50)
    completed = Stage("completed", ("lastFirmwareUpdate",), 100, running=Running.REQUESTED)
    match fault:
        case Fault.HANGING:
            return (first,)
        case Fault.FAILING:
            return (first, second, Stage("failed", ("logTime",), 50, running=Running.OLD))
        case Fault.REVERTING:
            reverted = Stage("standBy", ("logTime",), None, running=Running.OLD)
            return (first, second, completed, reverted)
        case Fault.WRONG_VERSION:
            return (first, second, completed._replace(running=Running.OTHER))
        case Fault.NONE | Fault.OFFLINE:
            return (first, second, completed)


class VirtualUpdate:
    """One attempt, with the times of its reports.

    `reports` are the times at which the hub stores the reports; infinite for a device that stays
    offline. `before` is what the device had reported when this update began; `previous` is the
    update before. `ends_badly` says that the last report names another version than requested.
    """

    __slots__ = (
        "attempt",
        "before",
        "began_at",
        "ends_badly",
        "old_version",
        "previous",
        "reports",
        "rollout_id",
        "stages",
        "version",
    )

    def __init__(
        self, payload: Any, now: float, stages: tuple[Stage, ...], previous: "VirtualUpdate | None"
    ) -> None:
        self.rollout_id: str | None = payload.get("rolloutId")
        self.attempt: int | None = payload.get("attempt")
        self.version: str | None = payload.get("version")
        self.began_at = now
        self.stages = stages
        self.previous = previous
        self.reports: list[float] = []
        self.old_version = previous.version_at(now) if previous else FACTORY_VERSION
        self.before: ReportedProperties | None = None
        self.ends_badly = stages[-1].running in {Running.OLD, Running.OTHER}

    @property
    def ends_at(self) -> float:
        """When the update completes or fails; infinite if it hangs."""
        return self.reports[_END] if len(self.stages) > _END else inf

    def version_at(self, now: float) -> str:
        """Return the version that the device runs, whether it has reported it or not."""
        count = sum(at <= now for at in self.reports)
        return self._version_after(self.stages[count - 1]) if count else self.old_version

    def failed_at(self, now: float, versions: Sequence[str] = ()) -> float | None:
        """Return when the hub stored the failure that is reported as of `now`, or None.

        An end with none of `versions` is a failure, too; without them only `failed` is.
        """
        count = sum(at <= now for at in self.reports)
        last = self.stages[count - 1] if count else None
        if last is None or last.running is None:
            return None
        is_wrong = bool(versions) and self._version_after(last) not in versions
        return self.reports[count - 1] if last.status == "failed" or is_wrong else None

    def properties_at(self, now: float, *, tutorial_only: bool) -> ReportedProperties:
        """Return everything that was reported by `now`, at or after the start of this update."""
        values, times = self.before or factory_properties(tutorial_only=tutorial_only)
        past = list(takewhile(now.__ge__, self.reports))
        if not past:
            return ReportedProperties(values, times)
        properties = ReportedProperties(values.copy(), times.copy())
        self._apply_reports(properties, past, tutorial_only=tutorial_only)
        return properties

    def _apply_reports(
        self, properties: ReportedProperties, past: list[float], *, tutorial_only: bool
    ) -> None:
        values, times = properties
        when = _FACTORY_AT
        for stage, at in zip(self.stages, past, strict=False):
            when = datetime.fromtimestamp(at, UTC)
            text = _format_time(when)
            for name in stage.time_properties:
                values[name] = text
                times[name] = when
            if stage.percent is not None and not tutorial_only:
                values["firmwareUpdate"] = (stage, text)
                times["firmwareUpdate"] = when
        last = self.stages[len(past) - 1]
        values["firmwareStatus"] = last.status
        times["firmwareStatus"] = when
        if not tutorial_only:
            values["firmwareUpdate"] = self._progress(*values["firmwareUpdate"])
            if last.running is not None:
                values["firmwareVersion"] = self._version_after(last)
                times["firmwareVersion"] = when

    def _version_after(self, stage: Stage) -> str:
        match stage.running:
            case Running.REQUESTED:
                return self.version or self.old_version
            case Running.OTHER:
                return OTHER_VERSION
        return self.old_version

    def _progress(self, stage: Stage, updated_at: str) -> dict[str, Any]:
        """Return `firmwareUpdate` of the device contract."""
        progress: dict[str, Any] = {
            "rolloutId": self.rollout_id,
            "attempt": self.attempt,
            "version": self.version,
            "progressPercent": stage.percent,
            "updatedAt": updated_at,
        }
        if stage.status == "failed":
            progress["errorCode"], progress["errorMessage"] = ERROR_CODE, _ERROR_MESSAGE
        return progress


def _format_time(at: datetime) -> str:
    return f"{at.isoformat()[:-6]}Z"
