"""Measure how a rollout's record is fought over: many starts a second, and storage with latency.

The service obeys the quotas of ten S3 units, 667 starts a second at its default share, which is
more than two cores carry; the hub enforces none. So the host always has as many batches at work as
it takes at once, and all of them change one rollout.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from simulator.cloud.local_cloud import run_cloud
from tests.bench.figures import Figure
from tests.bench.fleet import Size, as_hub, connected, roll_out, seconds_between
from tests.bench.slow_storage import count_transactions, read_counts, slow_storage
from tests.end_to_end.client import Api
from tests.end_to_end.conftest import make_options

DEVICES = int(os.environ.get("DEVICES", "4000"))
LATENCIES = (0.02, 0.04)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a rollout did."""

    seconds: float
    """From the POST to the last completion."""
    failed: int
    """Devices that failed."""
    commits: int
    """Changes of the rollout that were stored."""
    lost_races: int
    """Changes that another one came before; each was tried again."""
    transactions: int
    """Storage transactions."""
    redelivered: int
    """Queue messages whose function failed."""


def run() -> Iterator[Figure]:
    for latency in LATENCIES:
        found = _measure(latency)
        name = f"{DEVICES:,} devices, storage {latency * 1000:.0f} ms"
        yield Figure(name=f"{name}: POST to the last completion", value=found.seconds, unit="s")
        yield Figure(name=f"{name}: starts", value=DEVICES / found.seconds, unit="/s")
        yield Figure(name=f"{name}: devices that failed", value=found.failed, unit="")
        yield Figure(name=f"{name}: commits", value=found.commits / found.seconds, unit="/s")
        yield Figure(
            name=f"{name}: commits per 100 devices", value=found.commits * 100 / DEVICES, unit=""
        )
        yield Figure(name=f"{name}: lost races", value=found.lost_races, unit="")
        yield Figure(name=f"{name}: queue messages that failed", value=found.redelivered, unit="")
        value = found.transactions / DEVICES
        yield Figure(name=f"{name}: storage transactions for each device", value=value, unit="")


def _measure(latency: float) -> Measured:
    size = Size(devices=DEVICES, scale=1, schedule="*/10 * * * * *")
    with TemporaryDirectory() as directory:
        options = make_options(Path(directory))
        options = replace(
            options,
            storage_access_log=True,
            storage_proxy=slow_storage(options.address, latency),
            advance_schedule=size.schedule,
            assumed_tier="S3",
            units=10,
        )
        with run_cloud(options) as running, connected(running, as_hub(running), size):
            before, transactions = read_counts(options), count_transactions(options)
            ended = roll_out(Api(options), size)
            counts = read_counts(options) - before
            log = running.host.options.log.read_text(errors="replace")
            return Measured(
                seconds=seconds_between(ended["createdAt"], ended["endedAt"]),
                failed=ended["counts"]["failed"],
                commits=counts["commits"],
                lost_races=counts["lost races"],
                transactions=count_transactions(options) - transactions,
                redelivered=log.count("dispatch_batch (Failed")
                + log.count("dispatch_batch' (Failed"),
            )
