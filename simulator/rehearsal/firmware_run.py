"""One firmware update on a pretended device: when it reports what, all known when it begins.

Nothing happens as time goes by: whoever looks at a moment computes what had been reported by
then. Times are seconds since 1970.
"""

from datetime import UTC, datetime
from functools import cache
from itertools import takewhile
from math import inf
from typing import Any, NamedTuple

from simulator.simulated_fleet.shares import Fault

ERROR_CODE = "simulatedFailure"
_ERROR_MESSAGE = "simulated failure at applying"
FACTORY_VERSION = "1.0.0"
_FACTORY_AT = datetime(2020, 1, 1, tzinfo=UTC)
_FACTORY_TEXT = "2020-01-01T00:00:00Z"
# The place of the report with which an update ends: after downloading and applying.
_END = 2


class Told(NamedTuple):
    """Reported properties with the times at which the hub stored them. Not to be changed."""

    reported: dict[str, Any]
    reported_at: dict[str, datetime]


class Stage(NamedTuple):
    """What one report says: a status, the properties that hold its time, and the update's part.

    `percent` is the progress that it tells of, None for a report that is about no update.
    `keeps` is whether the device runs its old version (True) or the new one (False) from now on;
    None says nothing about it.
    """

    status: str
    times: tuple[str, ...]
    percent: int | None
    keeps: bool | None = None


@cache
def first_told(*, tutorial_only: bool) -> Told:
    """What a device reported when it was switched on, long ago; one record serves all."""
    values = {"firmwareStatus": "standBy", "logTime": _FACTORY_TEXT}
    if not tutorial_only:
        values["firmwareVersion"] = FACTORY_VERSION
    return Told(values, dict.fromkeys(values, _FACTORY_AT))


@cache
def stages(conduct: Fault, *, tutorial_only: bool) -> tuple[Stage, ...]:
    """The reports of an update, as devices of this conduct make them.

    A device of the tutorial tells of the end of the download, others of its beginning.
    """
    downloaded, applied = ("downloadComplete",), ("startedApplyingImage",)
    first = Stage("downloading", downloaded if tutorial_only else (), 0)
    second = Stage("applying", applied if tutorial_only else downloaded + applied, 50)
    completed = Stage("completed", ("lastFirmwareUpdate",), 100, keeps=False)
    match conduct:
        case Fault.HANGING:
            return (first,)
        case Fault.FAILING:
            return (first, second, Stage("failed", ("logTime",), 50, keeps=True))
        case Fault.REVERTING:
            return (first, second, completed, Stage("standBy", ("logTime",), None, keeps=True))
        case Fault.NONE | Fault.OFFLINE:
            return (first, second, completed)


class FirmwareRun:
    """`reports` are the times at which the hub stores them: infinite while the device is away.

    `before` is what the device had reported when the update began, `previous` the one before.
    """

    __slots__ = (
        "attempt",
        "before",
        "began",
        "old_version",
        "previous",
        "reports",
        "rollout_id",
        "stages",
        "version",
    )

    def __init__(
        self, payload: Any, now: float, stages: tuple[Stage, ...], previous: "FirmwareRun | None"
    ) -> None:
        self.rollout_id: str | None = payload.get("rolloutId")
        self.attempt: int | None = payload.get("attempt")
        self.version: str | None = payload.get("version")
        self.began = now
        self.stages = stages
        self.previous = previous
        self.reports: list[float] = []
        self.old_version = previous.running_version(now) if previous else FACTORY_VERSION
        self.before: Told | None = None

    @property
    def ends_at(self) -> float:
        """When it has completed or failed; never, if it hangs."""
        return self.reports[_END] if len(self.stages) > _END else inf

    def running_version(self, now: float) -> str:
        """What the device runs, one way or the other."""
        passed = sum(at <= now for at in self.reports)
        return self._version_after(self.stages[passed - 1]) if passed else self.old_version

    def told(self, now: float, *, tutorial_only: bool) -> Told:
        """All that had been reported by `now`, which is not before this update began."""
        values, times = self.before or first_told(tutorial_only=tutorial_only)
        passed = list(takewhile(now.__ge__, self.reports))
        if not passed:
            return Told(values, times)
        told = Told(values.copy(), times.copy())
        self._overlay(told, passed, tutorial_only=tutorial_only)
        return told

    def _overlay(self, told: Told, passed: list[float], *, tutorial_only: bool) -> None:
        values, times = told
        when = _FACTORY_AT
        for stage, at in zip(self.stages, passed, strict=False):
            when = datetime.fromtimestamp(at, UTC)
            written = _written(when)
            for name in stage.times:
                values[name] = written
                times[name] = when
            if stage.percent is not None and not tutorial_only:
                values["firmwareUpdate"] = (stage, written)
                times["firmwareUpdate"] = when
        last = self.stages[len(passed) - 1]
        values["firmwareStatus"] = last.status
        times["firmwareStatus"] = when
        if not tutorial_only:
            values["firmwareUpdate"] = self._about(*values["firmwareUpdate"])
            if last.keeps is not None:
                values["firmwareVersion"] = self._version_after(last)
                times["firmwareVersion"] = when

    def _version_after(self, stage: Stage) -> str:
        return self.old_version if stage.keeps is not False else self.version or self.old_version

    def _about(self, stage: Stage, written: str) -> dict[str, Any]:
        """`firmwareUpdate` of the device contract."""
        about: dict[str, Any] = {
            "rolloutId": self.rollout_id,
            "attempt": self.attempt,
            "version": self.version,
            "progressPercent": stage.percent,
            "updatedAt": written,
        }
        if stage.status == "failed":
            about["errorCode"], about["errorMessage"] = ERROR_CODE, _ERROR_MESSAGE
        return about


def _written(at: datetime) -> str:
    return f"{at.isoformat()[:-6]}Z"
