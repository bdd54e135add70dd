"""Forecast how long a rollout takes at least, and what it costs of the hub's quotas.

A rough estimate from the quotas and the strategy's waits, without failures. A rehearsal is more
exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from functions.rollouts.model.quotas import (
    MESSAGES_PER_UPDATE,
    QUERY_ROWS,
    REPORTS_PER_UPDATE,
    Quotas,
)
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.model.wave import Wave

# The assumed time from a device's acceptance to its last report.
ASSUMED_UPDATE = timedelta(minutes=2)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a rollout is expected to take."""

    duration: timedelta
    messages: int  # of the hub's daily quota
    limited_by: str  # what sets the speed: a quota, the strategy or the daily messages
    starts_per_second: float  # devices that the hub's rates allow to start
    starts_limited_by: str  # the quota that sets this rate


def forecast(waves: Sequence[Wave], strategy: Strategy, limits: Quotas) -> Forecast:
    """Return the forecast for healthy devices that are all connected, in an open window."""
    rates = {
        "methods": limits.methods * limits.share,
        "twinUpdates": limits.twin_updates / REPORTS_PER_UPDATE * limits.share,
    }
    quota = min(rates, key=lambda name: rates[name])
    starts_per_second = rates[quota]
    if strategy.max_in_flight is not None:
        rates["maxInFlight"] = strategy.max_in_flight / ASSUMED_UPDATE.total_seconds()
    rates["dailyMessages"] = limits.daily_messages / MESSAGES_PER_UPDATE / _DAY.total_seconds()
    devices = sum(wave.size for wave in waves)
    messages = devices * MESSAGES_PER_UPDATE
    within_a_day = messages <= limits.daily_messages
    if within_a_day:
        del rates["dailyMessages"]
    limited_by = min(rates, key=lambda name: rates[name])
    each = ASSUMED_UPDATE + strategy.soak
    duration = timedelta(seconds=devices / rates[limited_by]) + each * len(waves)
    return Forecast(
        duration=duration,
        messages=messages,
        limited_by=limited_by,
        starts_per_second=starts_per_second,
        starts_limited_by=quota,
    )


def quota_minimum(devices: int, limits: Quotas) -> timedelta:
    """Return the shortest time in which the quotas allow a rollout to `devices` devices.

    The largest of three times: to invoke them, to take their reports, to read their twins. A
    device's own update time is added to it (docs, "Pacing").
    """
    reads = limits.queries * QUERY_ROWS + limits.twin_reads
    seconds = max(
        devices / limits.methods,
        devices * REPORTS_PER_UPDATE / limits.twin_updates,
        devices / reads,
    )
    return timedelta(seconds=seconds)
