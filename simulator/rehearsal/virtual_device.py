"""A virtual device: online or offline, with at most one update under way.

The device has no thread and no timer. Its reports are planned when an update begins, for times
when the device is online and the hub has room for them. Times are seconds since 1970.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any

from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.method_outcome import MethodResponse
from simulator.rehearsal.virtual_update import (
    ReportedProperties,
    VirtualUpdate,
    factory_properties,
    plan_stages,
)
from simulator.simulated_fleet.shares import Fault

type ReserveReport = Callable[[float], float]
"""Takes the time at which a report is due; returns the time at which the hub stores it."""

type StageSeconds = tuple[float, float, float, float]
"""Seconds until downloading, applying, the end of the update, and the revert are reported."""

_STARTED = MethodResponse(status=200, payload={"Response": "Firmware update started"})
_BUSY = MethodResponse(status=409, payload={"Response": "Another firmware update is under way"})
_UNUSABLE = MethodResponse(
    status=400, payload={"Response": "fwPackageUri must be a text that is not empty"}
)


def store_at_once(due: float) -> float:
    """Return the due time: a hub without quotas delays no report."""
    return due


class VirtualDevice:
    """A device of a virtual fleet.

    `offline` is how the device begins; it goes online and offline in turn at each of
    `connection_changes`. `time_factor` multiplies its stage seconds. The next `lose_requests`
    method requests and `lose_responses` method responses are lost.

    A `tutorial_only` device reads nothing but `fwPackageUri` and begins every update it is sent;
    `overlaps` counts those that began while another was under way.
    """

    __slots__ = (
        "connection_changes",
        "device_id",
        "fault",
        "latest",
        "lose_requests",
        "lose_responses",
        "offline",
        "overlaps",
        "stage_seconds",
        "stratum",
        "time_factor",
        "tutorial_only",
    )

    def __init__(
        self,
        device_id: str,
        *,
        fault: Fault = Fault.NONE,
        stage_seconds: StageSeconds = (10.0, 10.0, 10.0, 10.0),
        time_factor: float = 1.0,
        offline: bool = False,
        connection_changes: tuple[float, ...] = (),
        stratum: str = "",
        tutorial_only: bool = False,
        lose_responses: int = 0,
        lose_requests: int = 0,
    ) -> None:
        self.device_id = device_id
        self.fault = fault
        self.stage_seconds = stage_seconds
        self.time_factor = time_factor
        self.offline = offline
        self.connection_changes = connection_changes
        self.stratum = stratum
        self.tutorial_only = tutorial_only
        self.lose_responses = lose_responses
        self.lose_requests = lose_requests
        self.overlaps = 0
        self.latest: VirtualUpdate | None = None

    @property
    def started(self) -> list[tuple[str, int]]:
        """Rollout and attempt of every update that the device began, oldest first."""
        found: list[tuple[str, int]] = []
        update = self.latest
        while update is not None:
            found.append((update.rollout_id or "", update.attempt or 0))
            update = update.previous
        return found[::-1]

    def is_online(self, now: float) -> bool:
        if not self.connection_changes:
            return not self.offline
        return bool(bisect_right(self.connection_changes, now) & 1) is self.offline

    def receive_method(
        self, payload: Mapping[str, Any], now: float, reserve: ReserveReport = store_at_once
    ) -> MethodResponse:
        """Respond to the direct method as the device contract says, and begin the update."""
        uri = payload.get("fwPackageUri")
        if not isinstance(uri, str) or not uri.strip():
            return _UNUSABLE
        if not self.tutorial_only and self._has_begun(payload):
            return _STARTED
        if self.latest is not None and now < self.latest.ends_at:
            if not self.tutorial_only:
                return _BUSY
            self.overlaps += 1
        self._begin(payload, now, reserve)
        return _STARTED

    def read_twin(self, now: float) -> DeviceTwin:
        """Return the twin as of `now`, which may be earlier than a time already read."""
        properties = self._properties_at(now)
        return DeviceTwin(
            device_id=self.device_id,
            connected=self.is_online(now),
            reported=properties.reported,
            reported_at=properties.reported_at,
        )

    def failed_at(self, now: float, rollout_id: str, versions: Sequence[str]) -> float | None:
        """Return when the hub stored a failure that the device reports as of `now`, or None.

        It is the rollout's, or of a device that names no rollout. With `versions`, a device of the
        rollout that has completed with another version has failed, too.
        """
        update = self.latest
        while update is not None and (update.began_at > now or update.reports[0] > now):
            update = update.previous
        if update is None or not update.ends_badly:
            return None
        if self.tutorial_only:
            return update.failed_at(now)
        return update.failed_at(now, versions) if update.rollout_id == rollout_id else None

    def disconnect(self, now: float) -> None:
        """Take the device offline until `reconnect`; reports that become due wait."""
        self._set_online(now, online=False)
        self._plan_again(now, store_at_once)

    def reconnect(self, now: float, reserve: ReserveReport = store_at_once) -> None:
        """Bring the device online until `disconnect`, and send the reports that are due."""
        self._set_online(now, online=True)
        self._plan_again(now, reserve)

    def _properties_at(self, now: float) -> ReportedProperties:
        update = self.latest
        while update is not None and update.began_at > now:
            update = update.previous
        if update is None:
            return factory_properties(tutorial_only=self.tutorial_only)
        return update.properties_at(now, tutorial_only=self.tutorial_only)

    def _has_begun(self, payload: Mapping[str, Any]) -> bool:
        """Return whether this attempt, or a later one of the same rollout, began before."""
        rollout_id, attempt = payload.get("rolloutId"), payload.get("attempt") or 0
        update = self.latest if rollout_id is not None else None
        while update is not None:
            if update.rollout_id == rollout_id and attempt <= (update.attempt or 0):
                return True
            update = update.previous
        return False

    def _begin(self, payload: Mapping[str, Any], now: float, reserve: ReserveReport) -> None:
        stages = plan_stages(self.fault, tutorial_only=self.tutorial_only)
        update = VirtualUpdate(payload, now, stages, self.latest)
        if self.latest is not None:
            update.before = self._properties_at(now)
        self.latest = update
        self._plan_reports(update, reserve)

    def _plan_reports(self, update: VirtualUpdate, reserve: ReserveReport) -> None:
        """Plan the remaining reports; each stage waits until the hub has stored the one before."""
        at = update.reports[-1] if update.reports else update.began_at
        for seconds in self.stage_seconds[len(update.reports) : len(update.stages)]:
            at = self._online_from(at + seconds * self.time_factor)
            if at != inf:
                at = reserve(at)
            update.reports.append(at)

    def _plan_again(self, now: float, reserve: ReserveReport) -> None:
        """Replace the reports that are planned after `now`."""
        update = self.latest
        if update is None:
            return
        late = [at for at in update.reports if at > now]
        if late:
            del update.reports[len(update.reports) - len(late) :]
            self._plan_reports(update, reserve)

    def _online_from(self, due: float) -> float:
        """Return the first time from `due` on at which the device is online, or infinity."""
        if self.is_online(due):
            return due
        index = bisect_right(self.connection_changes, due)
        return self.connection_changes[index] if index < len(self.connection_changes) else inf

    def _set_online(self, now: float, *, online: bool) -> None:
        past = tuple(at for at in self.connection_changes if at < now)
        self.connection_changes = past
        if self.is_online(now) is not online:
            self.connection_changes = (*past, now)
