"""Test that a rollout's own row fits into one of Table Storage, however large the rollout is."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from functions.rollout_store.ports.rollouts import MAX_EVENTS_IN_ROLLOUT, MAX_FIRMWARE_CHARACTERS
from functions.rollout_store.table_storage.block_rows import block_from_row
from functions.rollout_store.table_storage.later_columns import LATER_COLUMNS, later_from_row
from functions.rollout_store.table_storage.rollout_rows import rollout_from_row, rollout_to_row
from functions.rollout_store.table_storage.rollouts import TableRolloutStore
from functions.rollout_store.table_storage.table import Row, Table
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.block import BLOCK_SIZE, Block, BlockSummary, blocks_for
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import HistoryEntry
from functions.rollouts.model.dispatch import Dispatch, Lease
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.gate_sequence import GateSequence
from functions.rollouts.model.later_rollouts import LaterRollouts
from functions.rollouts.model.method_outcome import MethodResponse
from functions.rollouts.model.pending_retry import PendingRetry, RetryState
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.stop import Stop
from functions.rollouts.model.strategy import Strategy, WavePlan
from functions.rollouts.model.stratum import FrozenStratum, StratumGate
from functions.rollouts.model.target import Target
from functions.rollouts.model.wave import Counts, WaveStratum
from functions.rollouts.rollout.strata import MAX_STRATA
from functions.wire.command_request import MAX_RETRIED_DEVICES
from functions.wire.create_request import MAX_LABELS
from functions.wire.strategy import MAX_HUB_DEVICES, MAX_WAVES
from tests.functions.builders import NOON, make_rollout, make_wave
from tests.functions.rollout_store.records import full_update

# Microsoft Learn, "Understanding the Table service data model": an entity, and a binary property.
MAX_ROW_BYTES = 1024 * 1024
MAX_COLUMN_BYTES = 64 * 1024
# Batches that wait in the queue for up to a minute: more than the fastest hub starts in one.
MAX_LEASES = 3_000
CHANCE = random.Random(7)  # noqa: S311 - a fixed row, not a secret


def row_bytes(row: Mapping[str, Any]) -> int:
    """Return an entity's size by Microsoft's formula (same source)."""
    size = 4 + 2 * (len(row["PartitionKey"]) + len(row["RowKey"]))
    for name, value in row.items():
        if value is None or name in {"PartitionKey", "RowKey"}:
            continue
        size += 8 + 2 * len(name) + column_bytes(value)
    return size


def column_bytes(value: Any) -> int:
    if isinstance(value, str):
        return 4 + len(value.encode("utf-16-le"))
    return 4 + len(value) if isinstance(value, bytes) else 8


def some_devices() -> DeviceSet:
    return DeviceSet(CHANCE.getrandbits(100))


def make_large(devices: int, ready: float) -> Rollout:
    """Make a rollout of which each part is as large as it can be, and as hard to compress.

    `ready` is the share of blocks with devices that are ready, and that are to be repeated.
    """
    blocks = blocks_for(devices)
    share = devices // MAX_WAVES
    names = [f"{number:02}" + "ü" * 62 for number in range(MAX_WAVES)]
    waves = [
        make_wave(share, name=name, counts=Counts(completed=share), first=number * share)
        for number, name in enumerate(names)
    ]
    chosen = range(int(blocks * ready))
    rollout = make_rollout(
        *waves,
        strategy=Strategy(waves=tuple(WavePlan(size=share, name=name) for name in names)),
        block_summaries=tuple(
            BlockSummary(NOON + timedelta(milliseconds=CHANCE.randrange(10**9)), 100_000 + number)
            for number in range(blocks)
        ),
        dispatch=Dispatch(
            ready={number: some_devices() for number in chosen},
            repeats={number: some_devices() for number in chosen},
            leases=tuple(
                Lease(
                    number=10**6 + number,
                    block=CHANCE.randrange(blocks),
                    devices=some_devices(),
                    until=NOON + timedelta(microseconds=CHANCE.randrange(10**9)),
                )
                for number in range(MAX_LEASES)
            ),
        ),
        retry=PendingRetry(
            states=frozenset(RetryState),
            devices={number: some_devices() for number in range(min(blocks, MAX_RETRIED_DEVICES))},
        ),
    )
    labels = {f"{number:02}" + "ü" * 62: "ü" * 256 for number in range(MAX_LABELS)}
    firmware = Firmware(
        version="ü" * 64,
        package_uri="https://packages.example/" + "x" * 2_000,
        manifest=CHANCE.randbytes(8_192).hex(),
    )
    earlier = [
        replace(firmware, version=f"{number}", manifest=CHANCE.randbytes(8_192).hex())
        for number in range(MAX_FIRMWARE_CHARACTERS // 18_600)
    ]
    definition = replace(
        rollout.definition,
        labels=labels,
        firmware=firmware,
        earlier_firmware=tuple(earlier),
        earlier_links=("x" * 8_192,),
    )
    rollout = replace(rollout, definition=definition)
    for _ in range(MAX_EVENTS_IN_ROLLOUT):
        rollout = add_event(rollout, NOON, "paused", "ü" * 420, "ü" * 128)
    return rollout


def with_failures(rollout: Rollout, share: float) -> Rollout:
    """Let a share of the devices of each wave fail, in no order, spread over all strata."""
    strata = range(MAX_STRATA + 1)
    gates = [GateSequence() for _ in strata]
    waves = []
    for wave in rollout.waves:
        failed = tuple(CHANCE.sample(range(1, wave.size + 1), int(wave.size * share)))
        parts = [failed[number :: len(strata)] for number in strata]
        gates = [
            gate._replace(
                started=gate.started + wave.size // len(strata),
                failed=(*gate.failed, *(gate.started + rank // len(strata) for rank in part)),
            )
            for gate, part in zip(gates, parts, strict=True)
        ]
        waves.append(
            replace(
                wave,
                counts=Counts(completed=wave.size - len(failed), failed=len(failed)),
                sequence=GateSequence(started=wave.size, failed=failed),
                strata=tuple(
                    WaveStratum(counts=Counts(failed=len(part)), failed=part) for part in parts
                ),
            )
        )
    return replace(
        rollout,
        waves=tuple(waves),
        strata=tuple(f"model-{number}" for number in strata),
        stratum_gates=tuple(StratumGate(sequence=gate) for gate in gates),
    )


def test_the_row_of_a_million_devices_in_51_strata_of_which_5_percent_failed_fits() -> None:
    rollout = with_failures(make_large(MAX_HUB_DEVICES, ready=0.0), 0.05)
    row = rollout_to_row(rollout)
    assert row_bytes(row) < MAX_ROW_BYTES
    assert all(column_bytes(value) <= MAX_COLUMN_BYTES + 4 for value in row.values())
    assert rollout_from_row(row).waves == rollout.waves


@pytest.mark.parametrize("ready", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("devices", [100_000, 880_000, MAX_HUB_DEVICES])
def test_the_row_of_the_largest_rollout_fits_and_is_read_as_written(
    devices: int, ready: float
) -> None:
    rollout = make_large(devices, ready)
    row = rollout_to_row(rollout)
    assert row_bytes(row) < MAX_ROW_BYTES
    assert all(column_bytes(value) <= MAX_COLUMN_BYTES + 4 for value in row.values())
    assert len(row) < 252
    assert rollout_from_row(row) == rollout


def test_a_row_of_an_earlier_release_with_long_texts_is_still_read() -> None:
    rollout = make_large(100_000, 1.0)
    row = rollout_to_row(rollout)
    text = '{"0":"' + "f" * 40_000 + '"}'
    row = {name: value for name, value in row.items() if not name.startswith("ready")}
    row |= {"ready0": text[:32_000], "ready1": text[32_000:]}
    assert rollout_from_row(row).dispatch.ready[0].mask == int("f" * 40_000, 16)


def beside_a_block() -> Rollout:
    """Make the record of a rollout of one block in which each part is as long as it can be."""
    rollout = with_failures(replace(make_large(100, 0.0), dispatch=Dispatch(), retry=None), 0.5)
    definition = replace(
        rollout.definition,
        earlier_firmware=rollout.definition.earlier_firmware[:2],
        target=Target(condition="ü" * 4_000),
    )
    reason = Reason(code="failureGate", message="ü" * 330)
    frozen = FrozenStratum(reason=reason, at=NOON, revision=100)
    return replace(
        rollout,
        definition=definition,
        strata=tuple(f"{number:02}" + "ü" * 126 for number in range(MAX_STRATA + 1)),
        stratum_gates=tuple(replace(gate, frozen=frozen) for gate in rollout.stratum_gates),
        stops=tuple(Stop(reason=reason, revision=5, wave=wave) for wave in range(MAX_WAVES)),
    )


class WrittenRows:
    """Stands in for the table, and keeps the rows that are written on a condition."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def write(self, row: Row, version: str | None, others: Sequence[Row] = ()) -> str:
        self.rows.append(row)
        return f"after {version} with {len(others)}"


@pytest.mark.parametrize("character", ["x", "ü", "界"])
def test_devices_with_long_texts_fit_beside_the_longest_record(character: str) -> None:
    said = character * 300
    step = HistoryEntry(state=DeviceState.FAILED, attempt=9, at=NOON, message=said)
    update = full_update()._replace(
        method=MethodResponse(status=500, payload="x" * 490),
        error=Reason(code="reported", message=said),
        explanation=said,
        running_version="9" * 64,
        history=(step,) * 30,
    )
    updates = [update._replace(device_id=f"{'x' * 125}{n:03}") for n in range(BLOCK_SIZE)]
    table = WrittenRows()
    rollout = replace(beside_a_block(), block_summaries=(BlockSummary(NOON, 1),))
    TableRolloutStore(cast("Table", table)).add(rollout, [Block(0, tuple(updates))])
    row = table.rows[-1]
    assert row_bytes(row) < MAX_ROW_BYTES
    kept = block_from_row(0, row)
    assert kept is not None
    assert [item.device_id for item in kept.updates] == [item.device_id for item in updates]
    assert all(item.error is not None and item.history for item in kept.updates)


def test_the_row_of_a_rollout_with_thousands_of_later_rollouts_fits() -> None:
    ids = sorted(
        f"{98_233_499_999_999 - n * 7_919}-{CHANCE.randbytes(6).hex()}" for n in range(9_000)
    )
    later = LaterRollouts(ids=tuple(ids), checked=False)
    row = rollout_to_row(replace(make_rollout(make_wave(1)), later=later))
    assert all(column_bytes(value) <= MAX_COLUMN_BYTES + 4 for value in row.values())
    assert rollout_from_row(row).later == later
    assert later_from_row({name: row[name] for name in LATER_COLUMNS if name in row}) == later
