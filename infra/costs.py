"""Compute what the app costs in a month: requests, executions and money. docs/costs.md explains it.

`python -m infra.costs` prints the tables of that page; `--devices 3000 --tier S1 --units 1` prints
the column of another fleet. Change PRICES to those of your region and contract.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from functions.rollouts.model.quotas import Quotas, Tier, quotas
from functions.settings.quotas import DEFAULT_DAILY_SHARE_PERCENT, DEFAULT_SHARE_PERCENT

SECONDS = 30 * 24 * 60 * 60  # of a month
TICK_SECONDS = 10  # ROLLOUT_ADVANCE_SCHEDULE
INSTANCE_GB = 2  # instanceMemoryMB of the template

# Measured, see docs/benchmarks.md and docs/costs.md.
REQUESTS_PER_IDLE_TICK = 1
REQUESTS_PER_DEVICE = 0.14
EXECUTIONS_PER_DEVICE = 0.01  # batches of up to 100 devices
MESSAGES_PER_DEVICE = 9  # with a soak of an hour

# Known from documentation, or upper bounds.
LEAST_BILLED_SECONDS = 1  # of an execution
QUEUES, POLL_SECONDS = 3, 2  # maxPollingInterval of host.json
BUSY_INSTANCES = 2  # while a rollout runs: one ticks, one dispatches
ALERTS = 6

# Assumed.
LOCK_REQUESTS_A_MINUTE = 4  # of the host, to blobs
ROWS_PER_TICK, METRIC_ROWS_A_MINUTE, ROWS_PER_DEVICE = 2, 13, 3
BYTES_PER_ROW = 1000
UPDATE_SECONDS, SOAK_SECONDS, WAVES = 120, 3600, 2

# Larger numbers are shown without decimals.
MIN_WHOLE = 100
# In US dollars. docs/costs.md has the source of each.
PRICES = MappingProxyType(
    {
        "GB-second": 0.000026,
        "execution": 0.40 / 1e6,
        "table or queue request": 0.004 / 1e4,
        "blob request": 0.05 / 1e4,
        "gigabyte of telemetry": 2.30,
        "alert": 1.50,
        Tier.S1: 25.0,
        Tier.S2: 250.0,
        Tier.S3: 2500.0,
    }
)
FREE = MappingProxyType({"GB-second": 100_000, "execution": 250_000, "gigabyte of telemetry": 5})


@dataclass(frozen=True, slots=True)
class Fleet:
    """Devices that are updated once in a month, in one rollout."""

    devices: int
    tier: Tier
    units: int = 1

    @property
    def limits(self) -> Quotas:
        """The hub's quotas, with the default shares for rollouts."""
        return quotas(
            self.tier,
            self.units,
            DEFAULT_SHARE_PERCENT / 100,
            daily_share=DEFAULT_DAILY_SHARE_PERCENT / 100,
        )

    @property
    def rollout_seconds(self) -> float:
        """How long the rollout takes: its starts, and the update and the soak of each wave."""
        return self.devices / self.limits.starts + WAVES * (UPDATE_SECONDS + SOAK_SECONDS)

    @property
    def messages(self) -> int:
        return self.devices * MESSAGES_PER_DEVICE

    @property
    def share_of_a_day(self) -> float:
        """The share of one day's messages for rollouts that the fleet takes."""
        return self.messages / self.limits.daily_messages


@dataclass(frozen=True, slots=True)
class Line:
    """One meter of a month."""

    meter: str  # a key of PRICES
    quantity: float

    @property
    def money(self) -> float:
        return max(0.0, self.quantity - FREE.get(self.meter, 0)) * PRICES[self.meter]


def monthly(fleet: Fleet | None) -> list[Line]:
    """Return what the app uses in a month; None: without a rollout."""
    devices, busy = (fleet.devices, fleet.rollout_seconds) if fleet else (0, 0.0)
    ticks, minutes = SECONDS / TICK_SECONDS, SECONDS / 60
    executions = ticks + devices * EXECUTIONS_PER_DEVICE
    active = ticks * LEAST_BILLED_SECONDS + busy * BUSY_INSTANCES
    polls = QUEUES * SECONDS / POLL_SECONDS
    requests = ticks * REQUESTS_PER_IDLE_TICK + devices * REQUESTS_PER_DEVICE + polls
    rows = ticks * ROWS_PER_TICK + minutes * METRIC_ROWS_A_MINUTE + devices * ROWS_PER_DEVICE
    return [
        Line("execution", executions),
        Line("GB-second", active * INSTANCE_GB),
        Line("table or queue request", requests),
        Line("blob request", minutes * LOCK_REQUESTS_A_MINUTE),
        Line("gigabyte of telemetry", rows * BYTES_PER_ROW / 1e9),
        Line("alert", float(ALERTS)),
    ]


def month_table(fleets: Sequence[Fleet | None]) -> Iterator[str]:
    """Yield the Markdown table of months, one column a fleet."""
    columns = [monthly(fleet) for fleet in fleets]
    yield f"| in a month | {' | '.join(map(_title, fleets))} |"
    yield "| --- " * (len(fleets) + 1) + "|"
    for lines in zip(*columns, strict=True):
        cells = (f"{_number(line.quantity)}: {_money(line.money)}" for line in lines)
        yield f"| {_plural(lines[0].meter)} | {' | '.join(cells)} |"
    totals = [sum(line.money for line in lines) for lines in columns]
    yield f"| **the app** | {' | '.join(f'**{_money(total)}**' for total in totals)} |"
    yield f"| hub messages | {' | '.join(map(_messages, fleets))} |"
    yield f"| the hub's units | {' | '.join(map(_hub, fleets))} |"


def waiting_text() -> str:
    """Return what an hour costs in which requests wait for a change, on one instance."""
    used = Line("GB-second", 3600.0 * INSTANCE_GB)
    money = used.quantity * PRICES[used.meter]
    return f"An hour in which requests wait: {_number(used.quantity)} GB-seconds, {_money(money)}."


def device_table() -> Iterator[str]:
    """Yield the Markdown table of what one more device costs, one column a tier."""
    tiers = (Tier.S1, Tier.S2, Tier.S3)
    yield f"| one more device | {' | '.join(tiers)} |"
    yield "| --- " * (len(tiers) + 1) + "|"
    fleets = [Fleet(1, tier) for tier in tiers]
    starts = [fleet.rollout_seconds - Fleet(0, fleet.tier).rollout_seconds for fleet in fleets]
    seconds = [start * BUSY_INSTANCES * INSTANCE_GB for start in starts]
    yield f"| requests to tables and queues | {' | '.join([str(REQUESTS_PER_DEVICE)] * 3)} |"
    yield f"| executions | {' | '.join([str(EXECUTIONS_PER_DEVICE)] * 3)} |"
    yield f"| GB-seconds | {' | '.join(f'{value:.3f}' for value in seconds)} |"
    yield f"| hub messages | {' | '.join([str(MESSAGES_PER_DEVICE)] * 3)} |"
    app = [
        REQUESTS_PER_DEVICE * PRICES["table or queue request"]
        + EXECUTIONS_PER_DEVICE * PRICES["execution"]
        + value * PRICES["GB-second"]
        for value in seconds
    ]
    hub = [
        MESSAGES_PER_DEVICE * PRICES[fleet.tier] / (fleet.limits.messages_a_day * 30)
        for fleet in fleets
    ]
    yield f"| the app, for 1,000 devices | {' | '.join(f'${value * 1000:.4f}' for value in app)} |"
    yield f"| of the hub's price, for 1,000 | {' | '.join(f'${v * 1000:.4f}' for v in hub)} |"


def _plural(meter: str) -> str:
    first, *more = meter.split(" of ")
    return " of ".join([f"{first}s", *more])


def _title(fleet: Fleet | None) -> str:
    return f"{fleet.devices:,} devices on {fleet.tier} x {fleet.units}" if fleet else "idle"


def _messages(fleet: Fleet | None) -> str:
    if fleet is None:
        return "0"
    return f"{fleet.messages:,}: {fleet.share_of_a_day:.0%} of a day's share"


def _hub(fleet: Fleet | None) -> str:
    return _money(PRICES[fleet.tier] * fleet.units) if fleet else "yours"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= MIN_WHOLE or value.is_integer() else f"{value:.2f}"


def _money(value: float) -> str:
    return f"${value:,.2f}"


FLEETS = (None, Fleet(3_000, Tier.S1), Fleet(100_000, Tier.S2))

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m infra.costs")
    parser.add_argument("--devices", type=int)
    parser.add_argument("--tier", type=Tier, default=Tier.S1, choices=[Tier.S1, Tier.S2, Tier.S3])
    parser.add_argument("--units", type=int, default=1)
    chosen = parser.parse_args()
    own = (None, Fleet(chosen.devices, chosen.tier, chosen.units)) if chosen.devices else FLEETS
    print("\n".join([*month_table(own), "", waiting_text(), "", *device_table()]))
