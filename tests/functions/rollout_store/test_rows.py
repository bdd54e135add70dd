"""Test that every record fits into its row and is read as written."""

import json
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.rollout_store.table_storage import block_rows, budget, rollout_rows
from functions.rollout_store.table_storage.values import (
    firmware_from_json,
    firmware_to_json,
    from_columns,
    to_columns,
    to_json,
    utf16_length,
)
from functions.rollouts.model.block import BLOCK_SIZE, Block, BlockSummary
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_twin import Baseline
from functions.rollouts.model.device_update import DeviceUpdate, HistoryEntry
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.method_outcome import MethodResponse
from functions.rollouts.model.quotas import Budget
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout
from tests.functions.builders import NOON, at, change
from tests.functions.rollout_store.any_record import rollouts, texts, updates
from tests.functions.rollout_store.records import (
    MANY,
    full_rollout,
    full_update,
    rollout_with,
)

# Microsoft Learn, "Understanding the Table service data model": a string has 64 KiB, an entity a
# megabyte, both in UTF-16.
COLUMN_UNITS, ROW_UNITS = 32_768, 2**20 // 2
ROLLOUT_ID = "98233500000000-0123456789ab"


def pass_through_json(row: Any) -> Any:
    """Return the row as the service does: without empty columns, converted to JSON and back."""
    return json.loads(json.dumps({name: item for name, item in row.items() if item is not None}))


def longest(character: str) -> DeviceUpdate:
    """Build an update with the longest texts that a device can cause, of this character."""
    text = character * 300
    said = f"The device reported a failure: {text}: {text} Attempt 99 of 100 follows in 30 min."
    return full_update()._replace(
        version=character * 64,
        previous_version=text,
        baseline=Baseline(
            status_at=at(1),
            update_at=at(2),
            last_update="\\" * 300,
            recognises_repeats=True,
            busy_elsewhere=True,
        ),
        method=MethodResponse(status=2**31 - 1, payload={"text": character * 5_000}),
        error=Reason(code=text, message=text),
        explanation=said,
        history=(HistoryEntry(DeviceState.DOWNLOADING, 99, NOON, said),) * 30,
    )


def block_of(update: DeviceUpdate) -> Block:
    ids = (f"{'x' * 125}{index:03d}" for index in range(BLOCK_SIZE))
    return Block(7, tuple(update._replace(device_id=device_id) for device_id in ids))


@settings(max_examples=80, deadline=None)
@given(rollouts)
def test_a_rollout_comes_back_as_it_was(rollout: Rollout) -> None:
    row = pass_through_json(rollout_rows.rollout_to_row(rollout))
    assert rollout_rows.rollout_from_row(row) == rollout


@settings(max_examples=80, deadline=None)
@given(st.lists(updates, min_size=1, max_size=4))
def test_device_updates_come_back_as_they_were(some: list[DeviceUpdate]) -> None:
    block = Block(7, tuple(some))
    row = pass_through_json(block_rows.block_to_row(ROLLOUT_ID, block))
    assert block_rows.block_from_row(7, row) == block
    for state in DeviceState:
        known = block_rows.filter_by_states((state,)).removesuffix(" eq true")
        assert row.get(known, False) == any(update.state is state for update in some)


@pytest.mark.parametrize("record", [full_rollout(ROLLOUT_ID), full_update()])
def test_the_full_records_of_these_tests_have_no_defaults(record: Any) -> None:
    """Check that a new field cannot be missing in the rows unnoticed."""
    known = [item.name for item in fields(record)] if is_dataclass(record) else record._fields
    defaults: tuple[Any, ...] = (None, False, 0, 0.0, "", (), {})
    at_default = {name for name in known if getattr(record, name) in defaults}
    assert at_default == set()


def test_a_row_of_an_earlier_version_without_busy_elsewhere_is_read() -> None:
    row = block_rows.block_to_columns(Block(0, (full_update(),)))
    assert ',true,true],"method"' in row["updates0"]
    row["updates0"] = row["updates0"].replace(',true,true],"method"', ',true],"method"')
    block = block_rows.block_from_row(0, row)
    assert block is not None
    baseline = replace(full_update().baseline, busy_elsewhere=False)
    assert block.updates == (full_update()._replace(baseline=baseline),)


def test_the_messages_spent_are_stored_with_the_budget() -> None:
    stored = Budget(at=NOON, messages_spent=7.0)
    row = budget.budget_to_row(stored)
    assert row["messages"] == 7.0
    assert budget.budget_from_row(row) == stored


def test_a_row_without_devices_has_no_block() -> None:
    row = pass_through_json(rollout_rows.rollout_to_row(full_rollout(ROLLOUT_ID)))
    assert block_rows.block_from_row(0, row) is None


def test_a_block_is_never_due_before_its_time() -> None:
    rollout, _ = rollout_with("a")
    marked = replace(rollout, block_summaries=(BlockSummary(at(0.0001), 1),))
    (mark,) = rollout_rows.rollout_from_row(rollout_rows.rollout_to_row(marked)).block_summaries
    assert mark == BlockSummary(at(0.001), 1)


@pytest.mark.parametrize(
    "character", ["a", '"', "\\", "\x00", "\x7f", "界", "\U0001f680", "\ud83d"]
)
def test_the_longest_updates_fit_and_keep_what_programs_need(character: str) -> None:
    block = block_of(longest(character))
    columns = block_rows.block_to_columns(block)
    written = [value for value in columns.values() if isinstance(value, str)]
    assert max(map(utf16_length, written)) <= COLUMN_UNITS
    # What is left is for the record of a small rollout, which is in the same row.
    assert sum(map(utf16_length, written)) < ROW_UNITS * 0.85
    assert sum(len(json.dumps(value)) for value in written) < 2**20 * 0.85
    kept = block_rows.block_from_row(7, columns)
    assert kept is not None
    for before, after in zip(block.updates, kept.updates, strict=True):
        assert after.device_id == before.device_id
        assert after.version == before.version
        assert after.baseline == before.baseline
        assert after.history[-1].at == before.history[-1].at
        assert after.error is not None
        assert after.error.message.startswith(character * 50)


def test_texts_of_usual_length_are_not_cut_in_any_language() -> None:
    for character in ("a", '"', "界", "\U0001f680"):
        said = f"The device reported a failure: E42: {character * 40}"
        step = HistoryEntry(DeviceState.FAILED, 1, NOON, said)
        update = full_update()._replace(explanation=said, history=(step, step, step))
        block = Block(0, (update,))
        assert block_rows.block_from_row(0, block_rows.block_to_columns(block)) == block


@given(texts, st.integers(1, 4_000))
def test_a_long_text_is_divided_among_columns_that_fit(text: str, times: int) -> None:
    written = to_json(text * times)
    columns = to_columns("x", written)
    assert from_columns("x", columns) == written
    assert all(utf16_length(column) <= COLUMN_UNITS for column in columns.values())


def test_firmware_without_a_manifest_is_stored_as_in_earlier_versions() -> None:
    firmware = Firmware(version="2", package_uri="https://x.example/2", size_bytes=7)
    written = firmware_to_json(firmware)
    assert set(written) == {"version", "packageUri", "sha256", "sizeBytes"}
    assert firmware_from_json(written) == firmware


def test_the_longest_firmware_fits_into_its_column() -> None:
    longest = "\U0001f680" * 2_048
    firmware = Firmware(version="v" * 64, package_uri=longest, manifest="x" * 16 * 1024)
    rollout = change(rollout_with("a")[0], firmware=firmware)
    column = rollout_rows.rollout_to_row(rollout)["firmware"]
    assert utf16_length(column) <= COLUMN_UNITS


def test_the_record_of_a_rollout_of_100_000_devices_fits_into_its_row() -> None:
    small, _ = rollout_with(*MANY)
    rollout = change(
        small,
        block_summaries=(BlockSummary(at(10**8), 99_999),) * 1_000,
        ready=dict.fromkeys(range(1_000), DeviceSet.between(0, 100)),
        labels={f"{number}{chr(1) * 62}": "\x01" * 256 for number in range(20)},
        earlier_firmware=(
            Firmware(version="v" * 64, package_uri=f"https://x.example/{'y' * 2_000}"),
        )
        * 50,
    )
    row = rollout_rows.rollout_to_row(rollout)
    written = [value for value in row.values() if isinstance(value, str)]
    assert max(map(utf16_length, written)) <= COLUMN_UNITS
    assert sum(map(utf16_length, written)) < ROW_UNITS
