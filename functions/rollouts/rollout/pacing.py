"""How fast the hub's quotas let rollouts go: quotas by tier, and what is left of them.

Source of the quotas: Microsoft Learn, "IoT Hub quotas and throttling", sections "Operation
throttles" and "Quotas and throttling". The timer spends them, so one record shared by all open
rollouts is limiter enough for any number of function instances. What the request that creates a
rollout spends ahead is noted with it, and taken off that record by the timer; a plan's queries
are few, and not counted.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from functions.rollouts.model.device_update import Reason
from functions.rollouts.model.rollout import HubLoad, Rollout, RolloutStatus

# A query's page holds at most this many rows, so that more are more queries.
QUERY_ROWS = 100
# A device reports three stages in an update, and each report is a twin update.
REPORTS_PER_UPDATE = 3
# A method counts its request and its answer; then the reports, and a twin read before and after.
MESSAGES_PER_UPDATE = 2 + REPORTS_PER_UPDATE + 2
# Tokens saved up while nothing was going on, and there at the very beginning: as much as the
# longest pause between two ticks.
SAVED_SECONDS = 15.0
_MINUTE = 60.0
# Adaptation: half the speed when the hub refuses or is slow, back by a tenth each quiet tick.
SLOWER, FASTER, SLOWEST = 0.5, 0.1, 0.05
# Mean seconds of a method call from which the hub's queue counts as filling: a call that is not
# shaped takes a fraction of one, even through a slow link to the device.
SLOW_SECONDS = 5.0


class Tier(StrEnum):
    """Editions of IoT Hub that have twins and direct methods, and are paid by units."""

    S1 = "S1"
    S2 = "S2"
    S3 = "S3"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grant:
    """What one unit grants, a second if nothing else is said; `least` is for all of a hub's."""

    methods: float
    twin_reads: float
    twin_updates: float
    queries_a_minute: float
    messages_a_day: float
    least_twin_reads: float = 100.0
    least_twin_updates: float = 50.0


_GRANTS = {
    Tier.S1: _Grant(
        methods=40,
        twin_reads=0,
        twin_updates=0,
        queries_a_minute=20,
        messages_a_day=400_000,
    ),
    Tier.S2: _Grant(
        methods=120,
        twin_reads=10,
        twin_updates=5,
        queries_a_minute=20,
        messages_a_day=6_000_000,
    ),
    Tier.S3: _Grant(
        methods=6144,
        twin_reads=500,
        twin_updates=250,
        queries_a_minute=1000,
        messages_a_day=300_000_000,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """What the hub allows a second, and messages a day; `share` (0..1) of it is for rollouts.

    `scale` is how much faster than real the hub's time runs; 1 everywhere but on stand-ins.
    """

    methods: float
    twin_reads: float
    twin_updates: float
    queries: float
    messages_a_day: float
    share: float = 1.0
    scale: float = 1.0

    @property
    def starts(self) -> float:
        """Device updates that may begin a second."""
        return min(self.methods, self.twin_updates / REPORTS_PER_UPDATE) * self.share


def quotas(tier: Tier, units: int, share: float = 1.0, scale: float = 1.0) -> Quotas:
    """The quotas of so many units; `scale` is for stand-ins whose time runs faster."""
    grant = _GRANTS[tier]
    return Quotas(
        methods=grant.methods * units * scale,
        twin_reads=max(grant.least_twin_reads, grant.twin_reads * units) * scale,
        twin_updates=max(grant.least_twin_updates, grant.twin_updates * units) * scale,
        queries=grant.queries_a_minute * units / _MINUTE * scale,
        messages_a_day=grant.messages_a_day * units,
        share=share,
        scale=scale,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent now, as left by the tick at `at`; below zero was spent ahead.

    `factor` in SLOWEST..1 is how much of the speed the hub bears. `messages_spent` are of that day.
    """

    at: datetime
    starts: float = 0.0
    twin_reads: float = 0.0
    queries: float = 0.0
    factor: float = 1.0
    messages_spent: float = 0.0


def refilled(pace: Budget | None, limits: Quotas, now: datetime) -> Budget:
    """What may be spent at `now`: what was left, and what the time since has added."""
    if pace is None:
        return _filled(Budget(at=now), limits, SAVED_SECONDS / limits.scale)
    seconds = max(0.0, (now - pace.at).total_seconds())
    same_day = now.date() == pace.at.date()
    spent = pace.messages_spent if same_day else 0.0
    return _filled(replace(pace, at=now, messages_spent=spent), limits, seconds)


def _filled(pace: Budget, limits: Quotas, seconds: float) -> Budget:
    def level(left: float, rate: float) -> float:
        return min(left + rate * seconds, max(rate * SAVED_SECONDS / limits.scale, 1.0))

    return replace(
        pace,
        starts=level(pace.starts, limits.starts * pace.factor),
        twin_reads=level(pace.twin_reads, limits.twin_reads * limits.share * pace.factor),
        queries=level(pace.queries, limits.queries * limits.share * pace.factor),
    )


def emptied(pace: Budget) -> Budget:
    """Everything taken: what another timer finds that comes at the same moment."""
    return replace(
        pace,
        starts=min(0.0, pace.starts),
        twin_reads=min(0.0, pace.twin_reads),
        queries=min(0.0, pace.queries),
    )


def with_quota_reason(rollout: Rollout, messages_left: float) -> Rollout:
    """Saying that the hub's messages of the day are used up, as long as they are."""
    used_up = messages_left < MESSAGES_PER_UPDATE
    code = rollout.status_reason.code if rollout.status_reason else None
    if rollout.status is RolloutStatus.RUNNING and used_up and code is None:
        message = "The hub's messages of this day are used up; more start at midnight UTC."
        return replace(rollout, status_reason=Reason(code="dailyQuota", message=message))
    return replace(rollout, status_reason=None) if code == "dailyQuota" and not used_up else rollout


def adapted(pace: Budget, seen: HubLoad) -> Budget:
    """Slow down when the hub refuses or its queue fills; otherwise come back step by step."""
    if seen.throttled or seen.seconds > SLOW_SECONDS:
        return replace(pace, factor=max(SLOWEST, pace.factor * SLOWER))
    if not seen.methods:
        return pace
    return replace(pace, factor=min(1.0, pace.factor + FASTER))
