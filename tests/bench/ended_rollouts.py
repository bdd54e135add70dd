"""Measure what ended rollouts cost a tick, lists and histories: ten of them, and 100,000 more.

Azurite keeps its data in memory: it does not respond while it saves 350 MB, which takes seconds.
The store's own functions make the rows of the 100,000 from a rehearsed rollout of one device. Their
records are written only where one is read (each has a partition of its own), as Azurite takes 25 ms
for each.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import batched
from pathlib import Path
from tempfile import TemporaryDirectory

from functions.rollout_store.ports.rollout_ids import new_rollout_id
from functions.rollout_store.table_storage import block_rows, keys, list_rows, rollout_rows
from functions.rollout_store.table_storage.history_rows import history_to_rows
from functions.rollout_store.table_storage.stores import open_table_stores
from functions.rollout_store.table_storage.table import MAX_ROWS_PER_TRANSACTION, Row, open_table
from functions.rollouts.model.block import Block
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import Strategy
from functions.use_cases import read, retention
from functions.use_cases.advance import advance
from functions.use_cases.create import create
from functions.use_cases.services import Services
from simulator import azurite
from simulator.rehearsal.rehearse import BEGINS
from simulator.rehearsal.virtual_clock import VirtualClock
from simulator.rehearsal.virtual_cloud import VirtualCloud
from simulator.rehearsal.virtual_fleet import virtual_fleet
from simulator.rehearsal.virtual_hub import VirtualHub
from tests.bench.figures import Figure
from tests.bench.tick import LOG, NoQueue, azurite_options, count_requests
from tests.functions.use_cases.world import FIRMWARE

FEW, MANY, EXPIRED = 10, 100_000, 3_000
KEPT = timedelta(days=400)
LISTED = FEW
TICKS = 40
INTERVAL = timedelta(seconds=10)
LOG_SECONDS = 0.5
DEVICE = "device-0000"


@dataclass(frozen=True, slots=True)
class _Ended:
    """A rollout that has ended, with its one device."""

    rollout: Rollout
    block: Block

    def copy(self, device_id: str, ended_at: datetime) -> "_Ended":
        """Return the same rollout of another device, as if it had ended then."""
        begun = ended_at - timedelta(hours=1)
        definition = replace(self.rollout.definition, created_at=begun)
        rollout = replace(
            self.rollout,
            id=new_rollout_id(begun),
            definition=definition,
            started_at=begun,
            ended_at=ended_at,
        )
        update = self.block.updates[0]._replace(device_id=device_id, ended_at=ended_at)
        return _Ended(rollout, Block(0, (update,)))

    @property
    def row(self) -> Row:
        return rollout_rows.rollout_to_row(self.rollout) | block_rows.block_to_columns(self.block)

    @property
    def other_rows(self) -> Sequence[Row]:
        """The rows that list it, and its history."""
        ended_at = self.rollout.ended_at
        assert ended_at is not None
        history = history_to_rows(self.rollout.id, {self.block.updates[0].device_id: 0})
        listed = list_rows.list_entry_to_row(self.rollout)
        return [listed, list_rows.end_to_row(self.rollout.id, ended_at), *history[0]]


def run() -> Iterator[Figure]:
    with TemporaryDirectory() as directory:
        path = Path(directory)
        with azurite.run(azurite_options(path, in_memory=True)) as connection_string:
            yield from _figures(connection_string, path / LOG)


def _figures(connection_string: str, log: Path) -> Iterator[Figure]:
    ended, now = _rehearse(), datetime.now(UTC)
    hub = VirtualHub(virtual_fleet([DEVICE], now), lambda: datetime.now(UTC))
    stores = open_table_stores(connection_string, None)
    services = Services(
        hub=hub, stores=stores, queue=NoQueue(), new_id=new_rollout_id, retention=KEPT
    )
    own = [ended.copy(DEVICE, now - timedelta(days=n + 1)) for n in range(FEW)]
    _store(connection_string, own, own)
    few = list(_requests(f"with {FEW} ended rollouts", services, log))
    yield from few
    span = KEPT - timedelta(days=20)
    kept = (now - timedelta(days=11) - span * (n / MANY) for n in range(MANY - EXPIRED))
    expired = (now - KEPT - timedelta(minutes=n + 1) for n in range(EXPIRED))
    times = [*kept, *expired]
    others = [ended.copy(f"other-{n}", at) for n, at in enumerate(times)]
    _store(connection_string, others, others[:LISTED] + others[-EXPIRED:])
    unlimited = replace(services, retention=None)
    many = _requests(f"with {FEW + MANY:,} ended rollouts", unlimited, log)
    for figure, base in zip(many, few, strict=True):
        yield replace(figure, base=base)
    yield from _removals(services)


def _rehearse() -> _Ended:
    clock, limits = VirtualClock(BEGINS), quotas(Tier.S1, 1)
    cloud = VirtualCloud(
        VirtualHub(virtual_fleet([DEVICE], BEGINS), clock, limits), clock, limits, 1
    )
    rollout_id = create(cloud.services, _request(), None).rollout.id
    rollout = cloud.run(rollout_id, lambda _: False)
    snapshot = cloud.services.stores.rollouts.get(rollout_id)
    assert snapshot is not None
    blocks = cloud.services.stores.rollouts.get_blocks(snapshot, [0]).blocks
    return _Ended(rollout, blocks[0])


def _request() -> NewRollout:
    return NewRollout(
        device_ids=(DEVICE,), firmware=FIRMWARE, strategy=Strategy(), body_hash="bench"
    )


def _store(connection_string: str, ended: Sequence[_Ended], recorded: Sequence[_Ended]) -> None:
    """Write the rows of all of them as their ends left them, and the records of some."""
    table = open_table(keys.TABLE, connection_string, None)
    by_partition: dict[str, list[Row]] = {}
    for row in (row for item in ended for row in item.other_rows):
        by_partition.setdefault(row["PartitionKey"], []).append(row)
    transactions = [
        list(part)
        for rows in by_partition.values()
        for part in batched(rows, MAX_ROWS_PER_TRANSACTION, strict=False)
    ]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(table.put, transactions))
        list(pool.map(lambda item: table.put([item.row]), recorded))


def _requests(name: str, services: Services, log: Path) -> Iterator[Figure]:
    """Count the requests of a tick, of a list of 50 rollouts, and of a device's history."""
    stores = services.stores
    calls: dict[str, Callable[[], object]] = {
        "a tick": lambda: advance(services),
        f"a list of {LISTED} rollouts": lambda: read.list_rollouts(
            stores.rollouts, None, LISTED, None
        ),
        "history of a device with ten": lambda: read.list_device_history(
            stores.targets, DEVICE, 50, None, datetime.now(UTC)
        ),
    }
    advance(services)  # the first one writes the budget
    for what, call in calls.items():
        before = _settled_requests(log)
        call()
        value = _settled_requests(log) - before
        yield Figure(name=f"{what}, {name}: requests", value=value, unit="")


def _settled_requests(log: Path) -> int:
    """Count the requests. Azurite writes a line after its response."""
    time.sleep(LOG_SECONDS)
    return count_requests(log)


def _removals(services: Services) -> Iterator[Figure]:
    """Measure how long ticks that come every ten seconds remove expired rollouts."""
    seconds = []
    for _ in range(TICKS):
        work = retention.list_work(services)
        services.tick_times.latest = services.clock() - INTERVAL
        begun = time.perf_counter()
        retention.remove_expired(services, work)
        seconds.append(time.perf_counter() - begun)
    limit = Figure(name="a tenth of a tick", value=INTERVAL.total_seconds() / 10, unit="s")
    yield limit
    name = f"removals in the longest of {TICKS} ticks"
    yield Figure(name=name, value=max(seconds), unit="s", base=limit)
