"""Measure one tick over a rollout of 100,000 device updates, none of which is due.

It is compared to a tick without rollouts. It uses Azurite through the real store. The hub is
virtual, and is not read while nothing is due. Requests are counted in Azurite's access log.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from functions.dispatch_queue.port import Batch
from functions.rollout_store.ports.rollout_ids import new_rollout_id
from functions.rollout_store.ports.rollouts import MAX_BLOCKS_PER_SAVE, Snapshot
from functions.rollout_store.table_storage.stores import open_table_stores
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.strategy import Strategy
from functions.use_cases import resolve_target
from functions.use_cases.advance import advance
from functions.use_cases.commit import Change, commit
from functions.use_cases.create import create
from functions.use_cases.services import Services
from simulator import azurite
from simulator.azurite import AzuriteOptions
from simulator.hub.loopback import free_address
from simulator.rehearsal.virtual_fleet import device_ids, virtual_fleet
from simulator.rehearsal.virtual_hub import VirtualHub
from tests.bench.figures import Figure
from tests.ports import free_ports

DEVICES = 100_000
TICKS = 20
LOG = "azurite.log"


class NoQueue:
    """Rejects every batch: nothing may be leased here."""

    def put(self, batch: Batch, delay_seconds: float) -> None:
        raise RuntimeError(f"{batch} was leased, with a delay of {delay_seconds:g} s")

    def ping(self) -> None:
        pass


def run() -> Iterator[Figure]:
    with TemporaryDirectory() as directory:
        path = Path(directory)
        with azurite.run(azurite_options(path)) as connection_string:
            yield from _figures(connection_string, path / LOG)


def azurite_options(directory: Path, *, in_memory: bool = False) -> AzuriteOptions:
    """Return the options of an Azurite of its own, which logs each request."""
    address = free_address()
    blob, queue, table = free_ports(3, address)
    return AzuriteOptions(
        location=directory / "data",
        address=address,
        blob_port=blob,
        queue_port=queue,
        table_port=table,
        log=directory / LOG,
        access_log=True,
        in_memory=in_memory,
    )


def _figures(connection_string: str, log: Path) -> Iterator[Figure]:
    ids = device_ids(DEVICES)
    hub = VirtualHub(virtual_fleet(ids, datetime.now(UTC)), lambda: datetime.now(UTC))
    stores = open_table_stores(connection_string, None)
    services = Services(hub=hub, stores=stores, queue=NoQueue(), new_id=new_rollout_id)
    request = NewRollout(
        firmware=Firmware(version="2.4.0", package_uri="https://packages.example/fw.bin"),
        strategy=Strategy(),
        body_hash="bench",
        device_ids=tuple(ids),
    )
    empty = list(_ticks("a tick without rollouts", services, log))
    yield from empty
    begun = time.perf_counter()
    rollout_id = create(services, request, None).rollout.id
    name = f"a request for {DEVICES:,} devices"
    yield Figure(name=f"{name}, until the response", value=time.perf_counter() - begun, unit="s")
    yield Figure(
        name=f"{name}, its rows written afterwards",
        value=_write_blocks(services, rollout_id),
        unit="s",
    )
    _accept_all(services, rollout_id)
    full = _ticks(f"a tick, {DEVICES:,} under way, none due", services, log)
    for figure, base in zip(full, empty, strict=True):
        yield replace(figure, base=base)


def _ticks(name: str, services: Services, log: Path) -> Iterator[Figure]:
    """Measure TICKS ticks: requests, CPU and wall clock of one."""
    before, cpu, wall = count_requests(log), time.process_time(), time.perf_counter()
    for _ in range(TICKS):
        advance(services)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    yield Figure(name=f"{name}: requests", value=(count_requests(log) - before) / TICKS, unit="")
    yield Figure(name=f"{name}: CPU", value=cpu / TICKS * 1000, unit="ms")
    yield Figure(name=f"{name}: wall clock", value=wall / TICKS * 1000, unit="ms")


def _write_blocks(services: Services, rollout_id: str) -> float:
    """Write the rollout's blocks and return the seconds."""
    begun = time.perf_counter()
    while True:
        snapshot = services.stores.rollouts.get(rollout_id)
        if snapshot is None or snapshot.rollout.resolution is None:
            return time.perf_counter() - begun
        resolve_target.write_blocks(services, snapshot)


def _accept_all(services: Services, rollout_id: str) -> None:
    """Store every device as accepted, with its next observation due tomorrow."""
    snapshot = services.stores.rollouts.get(rollout_id)
    assert snapshot is not None
    now = services.clock()

    def accepted(update: DeviceUpdate) -> DeviceUpdate:
        tomorrow = now + timedelta(days=1)
        return update._replace(
            state=DeviceState.ACCEPTED, dispatched_at=now, accepted_at=tomorrow, observe_at=tomorrow
        )

    for first in range(0, len(snapshot.rollout.block_summaries), MAX_BLOCKS_PER_SAVE):
        numbers = range(
            first, min(first + MAX_BLOCKS_PER_SAVE, len(snapshot.rollout.block_summaries))
        )

        def decide(moment: Moment, stored: Snapshot, numbers: range = numbers) -> Change:
            blocks = {
                number: Block(number, tuple(map(accepted, stored.blocks[number].updates)))
                for number in numbers
            }
            waves = tuple(replace(wave, leased=wave.size) for wave in moment.rollout.waves)
            return Change(replace(stored.rollout, waves=waves), blocks)

        snapshot = commit(services, replace(snapshot, blocks={}), decide, numbers)


def count_requests(log: Path) -> int:
    """Return how many requests Azurite's access log has."""
    return log.read_text(errors="replace").count(' HTTP/1.1" ')
