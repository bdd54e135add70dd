"""Measure ticks, starts and the rollouts that are open. docs/telemetry.md lists the metrics."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider

from functions.rollouts.model.quotas import Budget, Quotas
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.wave import COUNTERS
from functions.rollouts.rollout import gate_view
from functions.rollouts.rollout.starts import LEASE_DURATION

# A rollout that has ended is exported for so long, so that its last figures are seen.
KEPT = timedelta(minutes=5)
# After this time without a tick, another process ticks, and this one knows nothing any more.
MAX_AGE_SECONDS = 300.0
_TICK_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


def _now() -> datetime:
    return datetime.now(UTC)


class Metrics:
    """The app's instruments, and what the gauges show. Threads may share it."""

    def __init__(self, provider: MeterProvider, clock: Callable[[], datetime] = _now) -> None:
        self._clock = clock
        self._open: Collection[str] = ()  # ids that the last tick advanced
        self._rollouts: dict[str, Rollout] = {}
        self._budget: tuple[Budget, Quotas] | None = None  # None: no tick has left one
        self._ticked_at: float | None = None  # monotonic; None: no tick has succeeded here
        meter = provider.get_meter("fleet-rollout")
        count = meter.create_counter
        self.starts = count("rollout.starts", "{device}", "Direct methods sent")
        self.throttled = count("rollout.hub.throttled", "{call}", "Calls refused with 429")
        self.lost_races = count("rollout.lost_races", "{write}", "Writes that lost a race")
        self._ticks = meter.create_histogram(
            "rollout.tick.duration",
            "s",
            "Duration of ticks",
            explicit_bucket_boundaries_advisory=_TICK_SECONDS,
        )
        gauges: tuple[tuple[str, str, Callable[[], Iterable[Observation]]], ...] = (
            ("rollout.devices", "{device}", self._devices),
            ("rollout.starts.allowed", "{device}/s", self._allowed_starts),
            ("rollout.gate.ratio", "1", lambda: self._gates("ratio")),
            ("rollout.gate.threshold", "1", lambda: self._gates("threshold")),
            ("rollout.hub.messages.left", "{message}", self._messages_left),
            ("rollout.lease.age", "s", self._lease_age),
        )
        for name, unit, observe in gauges:
            meter.create_observable_gauge(name, [self._if_ticking(observe)], unit)
        meter.create_observable_gauge("rollout.tick.age", [self._tick_age], "s")

    @contextmanager
    def tick(self) -> Iterator[None]:
        """Measure a tick."""
        begun, outcome = time.perf_counter(), "failure"
        try:
            yield
            outcome = "success"
            self._ticked_at = time.monotonic()
        finally:
            self._ticks.record(time.perf_counter() - begun, {"outcome": outcome})

    def keep_open(self, rollout_ids: Collection[str]) -> None:
        """Forget the rollouts that are no longer open, some time after their end."""
        self._open, since = frozenset(rollout_ids), self._clock() - KEPT
        for rollout in list(self._rollouts.values()):
            has_ended_lately = rollout.ended_at is not None and rollout.ended_at >= since
            if rollout.id not in self._open and not has_ended_lately:
                self._rollouts.pop(rollout.id, None)

    def show(self, rollout: Rollout) -> None:
        """Show a rollout in the gauges.

        A request that creates a rollout advances it, too. Its process may never tick, and must not
        keep the rollout.
        """
        if rollout.id in self._open:
            self._rollouts[rollout.id] = rollout

    def show_change(self, rollout: Rollout) -> None:
        """Show a changed rollout, if this process ticks."""
        if rollout.id in self._rollouts:
            self._rollouts[rollout.id] = rollout

    def show_budget(self, budget: Budget, limits: Quotas) -> None:
        """Show what a tick has left."""
        self._budget = budget, limits

    def _if_ticking(
        self, observe: Callable[[], Iterable[Observation]]
    ) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def call(_: CallbackOptions) -> Iterable[Observation]:
            ticked_at = self._ticked_at
            is_old = ticked_at is None or time.monotonic() - ticked_at > MAX_AGE_SECONDS
            return () if is_old else observe()

        return call

    def _tick_age(self, _: CallbackOptions) -> Iterable[Observation]:
        if self._ticked_at is not None:
            yield Observation(time.monotonic() - self._ticked_at)

    def _devices(self) -> Iterable[Observation]:
        for rollout in list(self._rollouts.values()):
            counts = rollout.counts
            for name in COUNTERS:
                attributes = {"rollout.id": rollout.id, "rollout.device.state": name}
                yield Observation(getattr(counts, name), attributes)

    def _gates(self, field: str) -> Iterable[Observation]:
        for rollout in list(self._rollouts.values()):
            for view in gate_view.view(rollout):
                name = "rollout.wave" if view.stratum is None else "rollout.stratum"
                attributes = {"rollout.id": rollout.id, name: view.stratum or view.wave or ""}
                yield Observation(getattr(view, field), attributes)

    def _allowed_starts(self) -> Iterable[Observation]:
        if self._budget is not None:
            budget, limits = self._budget
            yield Observation(limits.starts * budget.factor)

    def _messages_left(self) -> Iterable[Observation]:
        if self._budget is not None:
            budget, limits = self._budget
            left = max(0.0, limits.daily_messages - budget.messages_spent)
            yield Observation(0.0 if budget.refused_until is not None else left)

    def _lease_age(self) -> Iterable[Observation]:
        now = self._clock()
        ages = [
            (now - (lease.until - LEASE_DURATION)).total_seconds()
            for rollout in list(self._rollouts.values())
            for lease in rollout.dispatch.leases
        ]
        yield Observation(max(0.0, *ages) if ages else 0.0)
