"""A pretended device on a virtual clock: online or away, with at most one update under way.

It has no thread and no timer. Its reports are planned when an update begins, around the times
when it is away and in the order the hub lets them in. Times are seconds since 1970.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from functions.rollouts.model.device_update import DeviceTwin, MethodResponse
from simulator.rehearsal.firmware_run import FirmwareRun, Told, first_told, stages
from simulator.simulated_fleet.shares import Fault

type Reserve = Callable[[float], float]
"""When the hub lets a report in that is due then."""

type StageSeconds = tuple[float, float, float, float]
"""How long until downloading, applying, the end of the update, and going back are reported."""

_STARTED = MethodResponse(status=200, payload={"Response": "Firmware update started"})
_BUSY = MethodResponse(status=409, payload={"Response": "Another firmware update is under way"})
_UNUSABLE = MethodResponse(
    status=400, payload={"Response": "fwPackageUri must be a text that is not empty"}
)


def at_once(due: float) -> float:
    """A hub without limits."""
    return due


class VirtualDevice:
    """`turns` are when it goes away and comes back in turn, from `away` at the beginning.

    `speed` multiplies its stage seconds. One that is `tutorial_only` reads `fwPackageUri` and
    nothing else: it begins whatever it is asked, and `overlaps` counts those begun while another
    was under way. `lose_requests` and `lose_answers` are how many of the next get lost.
    """

    __slots__ = (
        "away",
        "conduct",
        "device_id",
        "latest",
        "lose_answers",
        "lose_requests",
        "overlaps",
        "speed",
        "stage_seconds",
        "stratum",
        "turns",
        "tutorial_only",
    )

    def __init__(
        self,
        device_id: str,
        *,
        conduct: Fault = Fault.NONE,
        stage_seconds: StageSeconds = (10.0, 10.0, 10.0, 10.0),
        speed: float = 1.0,
        away: bool = False,
        turns: tuple[float, ...] = (),
        stratum: str = "",
        tutorial_only: bool = False,
        lose_answers: int = 0,
        lose_requests: int = 0,
    ) -> None:
        self.device_id = device_id
        self.conduct = conduct
        self.stage_seconds = stage_seconds
        self.speed = speed
        self.away = away
        self.turns = turns
        self.stratum = stratum
        self.tutorial_only = tutorial_only
        self.lose_answers = lose_answers
        self.lose_requests = lose_requests
        self.overlaps = 0
        self.latest: FirmwareRun | None = None

    @property
    def started(self) -> list[tuple[str, int]]:
        """Rollout and attempt of every update that it really began, oldest first."""
        found: list[tuple[str, int]] = []
        run = self.latest
        while run is not None:
            found.append((run.rollout_id or "", run.attempt or 0))
            run = run.previous
        return found[::-1]

    def online(self, now: float) -> bool:
        if not self.turns:
            return not self.away
        return bool(bisect_right(self.turns, now) & 1) is self.away

    def receive(
        self, payload: Mapping[str, Any], now: float, reserve: Reserve = at_once
    ) -> MethodResponse:
        """Answer the direct method (device contract), and begin what it asks for."""
        uri = payload.get("fwPackageUri")
        if not isinstance(uri, str) or not uri.strip():
            return _UNUSABLE
        if not self.tutorial_only and self._is_known(payload):
            return _STARTED
        if self.latest is not None and now < self.latest.ends_at:
            if not self.tutorial_only:
                return _BUSY
            self.overlaps += 1
        self._begin(payload, now, reserve)
        return _STARTED

    def twin(self, now: float) -> DeviceTwin:
        """What the hub knew of it at `now`, which may be earlier than what was asked before."""
        told = self._told(now)
        return DeviceTwin(
            device_id=self.device_id,
            connected=self.online(now),
            reported=told.reported,
            reported_at=told.reported_at,
        )

    def go_away(self, now: float) -> None:
        """Leave for good, or until `come_back`; what it has still to report waits."""
        self._turn(now, online=False)
        self._replan(now, at_once)

    def come_back(self, now: float, reserve: Reserve = at_once) -> None:
        """Be there for good, or until `go_away`, and report what has become due."""
        self._turn(now, online=True)
        self._replan(now, reserve)

    def _told(self, now: float) -> Told:
        run = self.latest
        while run is not None and run.began > now:
            run = run.previous
        if run is None:
            return first_told(tutorial_only=self.tutorial_only)
        return run.told(now, tutorial_only=self.tutorial_only)

    def _is_known(self, payload: Mapping[str, Any]) -> bool:
        """Whether this attempt, or a later one, was begun already."""
        rollout_id, attempt = payload.get("rolloutId"), payload.get("attempt") or 0
        run = self.latest if rollout_id is not None else None
        while run is not None:
            if run.rollout_id == rollout_id and attempt <= (run.attempt or 0):
                return True
            run = run.previous
        return False

    def _begin(self, payload: Mapping[str, Any], now: float, reserve: Reserve) -> None:
        plan = stages(self.conduct, tutorial_only=self.tutorial_only)
        run = FirmwareRun(payload, now, plan, self.latest)
        if self.latest is not None:
            run.before = self._told(now)
        self.latest = run
        self._plan(run, reserve)

    def _plan(self, run: FirmwareRun, reserve: Reserve) -> None:
        """Plan the reports that are left; each stage waits until the hub has the one before."""
        at = run.reports[-1] if run.reports else run.began
        for seconds in self.stage_seconds[len(run.reports) : len(run.stages)]:
            at = self._reach(at + seconds * self.speed)
            if at != inf:
                at = reserve(at)
            run.reports.append(at)

    def _replan(self, now: float, reserve: Reserve) -> None:
        """Plan anew what was to be reported after `now`."""
        run = self.latest
        if run is None:
            return
        late = [at for at in run.reports if at > now]
        if late:
            del run.reports[len(run.reports) - len(late) :]
            self._plan(run, reserve)

    def _reach(self, due: float) -> float:
        """The first moment from `due` on at which it is online."""
        if self.online(due):
            return due
        number = bisect_right(self.turns, due)
        return self.turns[number] if number < len(self.turns) else inf

    def _turn(self, now: float, *, online: bool) -> None:
        past = tuple(at for at in self.turns if at < now)
        self.turns = past
        if self.online(now) is not online:
            self.turns = (*past, now)
