"""The hub's quotas by tier, and the budget that is left of them.

Source of the quotas: Microsoft Learn, "IoT Hub quotas and throttling", sections "Operation
throttles" and "Quotas and throttling".
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from functions.rollouts.model.outage import HEALTHY, HubHealth
from functions.rollouts.model.usage import DEFAULT_COSTS, MessageCosts

# Rows in one page of a query; each further page is another query.
QUERY_ROWS = 100
# A device reports three stages in an update, and each report is a twin update.
REPORTS_PER_UPDATE = 3
# A method counts its request and its response; then the reports, and a twin read before and after.
MESSAGES_PER_UPDATE = 2 + REPORTS_PER_UPDATE + 2
# How long after midnight a refusal may be the hub's own clock, or a counter that is not reset yet.
LATE_RESET = timedelta(hours=1)
RESET_RETRY = timedelta(minutes=5)
_MINUTE = 60.0
_DAY_SECONDS = 86_400
_KILOBYTE = 1024


class Tier(StrEnum):
    """The editions of IoT Hub that have device twins and direct methods. F1 is free."""

    F1 = "F1"
    S1 = "S1"
    S2 = "S2"
    S3 = "S3"


@dataclass(frozen=True, slots=True, kw_only=True)
class _UnitQuotas:
    """The quotas of one unit of a tier."""

    methods: float  # a second
    twin_reads: float  # a second
    twin_updates: float  # a second
    queries_a_minute: float
    messages_a_day: float
    min_twin_reads: float = 100.0  # a second, for all units of a hub together
    min_twin_updates: float = 50.0  # a second, for all units of a hub together
    block_bytes: int = 4 * _KILOBYTE  # a message of the day is counted in blocks of this size


_UNIT_QUOTAS = {
    Tier.F1: _UnitQuotas(
        methods=40,
        twin_reads=0,
        twin_updates=0,
        queries_a_minute=20,
        messages_a_day=8_000,
        block_bytes=_KILOBYTE // 2,
    ),
    Tier.S1: _UnitQuotas(
        methods=40,
        twin_reads=0,
        twin_updates=0,
        queries_a_minute=20,
        messages_a_day=400_000,
    ),
    Tier.S2: _UnitQuotas(
        methods=120,
        twin_reads=10,
        twin_updates=5,
        queries_a_minute=20,
        messages_a_day=6_000_000,
    ),
    Tier.S3: _UnitQuotas(
        methods=6144,
        twin_reads=500,
        twin_updates=250,
        queries_a_minute=1000,
        messages_a_day=300_000_000,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """The quotas of the hub, and the share of them that rollouts may use."""

    methods: float  # a second
    twin_reads: float  # a second
    twin_updates: float  # a second
    queries: float  # a second
    messages_a_day: float
    share: float = 1.0  # the part for rollouts, 0..1
    scale: float = 1.0  # how much faster than real time the hub's clock runs; 1 but in simulations
    daily_share: float = 1.0  # the part of the day's messages for rollouts, 0..1
    block_bytes: int = 4 * _KILOBYTE  # a message of the day is counted in blocks of this size

    @property
    def daily_messages(self) -> float:
        """Return how many messages a day rollouts may use."""
        return self.messages_a_day * self.daily_share

    def day_ends_at(self, now: datetime) -> datetime:
        """Return when the hub's day of messages ends: midnight UTC, unless its clock is faster."""
        seconds = _DAY_SECONDS / self.scale
        return datetime.fromtimestamp((now.timestamp() // seconds + 1) * seconds, UTC)

    def calls_resume_at(self, refused_at: datetime) -> datetime:
        """Return when the hub may be called again after it refused, because its day is used up.

        Right after midnight, the hub may not have begun its new day yet.
        """
        begun = self.day_ends_at(refused_at) - timedelta(seconds=_DAY_SECONDS / self.scale)
        if refused_at - begun < LATE_RESET / self.scale:
            return refused_at + RESET_RETRY / self.scale
        return self.day_ends_at(refused_at)

    @property
    def starts(self) -> float:
        """Return how many device updates may start a second."""
        return min(self.methods, self.twin_updates / REPORTS_PER_UPDATE) * self.share


def quotas(
    tier: Tier, units: int, share: float = 1.0, scale: float = 1.0, daily_share: float = 1.0
) -> Quotas:
    """Return the quotas of a hub of `units` units of `tier`."""
    unit = _UNIT_QUOTAS[tier]
    return Quotas(
        methods=unit.methods * units * scale,
        twin_reads=max(unit.min_twin_reads, unit.twin_reads * units) * scale,
        twin_updates=max(unit.min_twin_updates, unit.twin_updates * units) * scale,
        queries=unit.queries_a_minute * units / _MINUTE * scale,
        messages_a_day=unit.messages_a_day * units,
        share=share,
        scale=scale,
        daily_share=daily_share,
        block_bytes=unit.block_bytes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be spent of the quotas, as the last tick left it; negative: spent ahead."""

    at: datetime  # when that tick began
    starts: float = 0.0  # device updates that may start
    twin_reads: float = 0.0  # twins that may be read
    queries: float = 0.0  # pages that may be queried
    factor: float = 1.0  # the part of the full speed that the hub bears, up to 1
    messages_spent: float = 0.0  # of the day of `at`
    reserved: float = 0.0  # messages of the day that devices under way will still use
    costs: MessageCosts = DEFAULT_COSTS
    refused_until: datetime | None = None  # the hub's own day is used up; None: it is not
    refused_of: float = 0.0  # the hub's messages a day when it refused
    health: HubHealth = HEALTHY  # how the hub responds
