"""Store target parts and device history on Table Storage."""

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from functions.errors import LostRaceError
from functions.rollout_store.ports.records import Page
from functions.rollout_store.ports.rollouts import RolloutStore
from functions.rollout_store.table_storage import keys
from functions.rollout_store.table_storage.cursors import check_cursor, to_cursor
from functions.rollout_store.table_storage.history_rows import (
    add_devices,
    find_block_numbers,
    group_by_bucket,
    history_to_rows,
    joined_to_rows,
    read_block_numbers,
)
from functions.rollout_store.table_storage.table import BETWEEN, Row, Table
from functions.rollout_store.table_storage.values import from_columns, to_columns, to_json
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.target import TargetDevice

# Attempts to add devices to a history row. Whenever one fails, another caller has added some.
_MAX_ADDS = 20
# History rows per request. Most of them name other devices only.
_ROWS_PER_REQUEST = 200
# History of the rollouts with an id before a rollout's, which were created after it.
_BEFORE = "PartitionKey eq @partition and RowKey lt @before"
_PARTS = "PartitionKey eq @partition and RowKey ge @first and RowKey lt @end"


def target_to_row(rollout_id: str, number: int, devices: Sequence[TargetDevice]) -> Row:
    return {
        "PartitionKey": keys.rollout_partition(rollout_id),
        "RowKey": keys.target_row(number),
        **to_columns("members", to_json([[item.device_id, item.stratum] for item in devices])),
    }


def target_from_row(row: Mapping[str, Any]) -> Sequence[TargetDevice]:
    devices = json.loads(from_columns("members", row))
    return [TargetDevice(device_id, stratum) for device_id, stratum in devices]


class TableTargetStore:
    """Implement `ports.targets.TargetStore`."""

    def __init__(self, table: Table, rollouts: RolloutStore) -> None:
        self._table = table
        self._rollouts = rollouts

    def save_part(self, rollout_id: str, number: int, devices: Sequence[TargetDevice]) -> None:
        self._table.put([target_to_row(rollout_id, number, devices)])

    def get_parts(self, rollout_id: str, first: int, end: int) -> Sequence[TargetDevice]:
        if first >= end:
            return []
        values = {
            "partition": keys.rollout_partition(rollout_id),
            "first": keys.target_row(first),
            "end": keys.target_row(end),
        }
        rows = self._table.query(_PARTS, values)
        return [device for row in rows for device in target_from_row(row.values)]

    def save_history(self, rollout_id: str, block_numbers: Mapping[str, int]) -> None:
        for row in history_to_rows(rollout_id, block_numbers):
            self._table.put([row])

    def add_history(self, rollout_id: str, block_numbers: Mapping[str, int]) -> None:
        for row in joined_to_rows(rollout_id, block_numbers):
            self._add_devices(row)

    def _add_devices(self, row: Row) -> None:
        """Add the devices of `row` to the stored row with its keys, or store it as a new one."""
        for _ in range(_MAX_ADDS):
            stored = self._table.get(row["PartitionKey"], row["RowKey"])
            if stored is not None and read_block_numbers(row).items() <= (
                read_block_numbers(stored.values).items()
            ):
                return
            merged = add_devices(row, stored.values) if stored else row
            with suppress(LostRaceError):
                self._table.write(merged, stored.version if stored else None)
                return
        raise LostRaceError("The history of a rollout was changed by other requests; try again.")

    def get_block_numbers(
        self, rollout_id: str, device_ids: Collection[str] | None = None
    ) -> Mapping[str, int]:
        after, before = keys.history_range(rollout_id)
        by_bucket = None if device_ids is None else group_by_bucket(device_ids)
        found: dict[str, int] = {}
        for bucket in range(keys.HISTORY_BUCKETS) if by_bucket is None else by_bucket:
            partition = keys.history_partition(bucket)
            values = {"partition": partition, "after": after, "before": before}
            for row in self._table.query(BETWEEN, values):
                found |= read_block_numbers(row.values)
        return (
            found if device_ids is None else {key: found[key] for key in device_ids if key in found}
        )

    def find_later(
        self, rollout_id: str, device_ids: Collection[str]
    ) -> Mapping[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for bucket, wanted in group_by_bucket(device_ids).items():
            values = {"partition": keys.history_partition(bucket), "before": rollout_id}
            for row in self._table.query(_BEFORE, values):
                devices = wanted.intersection(read_block_numbers(row.values))
                if devices:
                    found.setdefault(row.values["rolloutId"], set()).update(devices)
        return {later_id: frozenset(found[later_id]) for later_id in sorted(found)}

    def list_history(
        self, device_id: str, limit: int, cursor: str | None
    ) -> Page[tuple[Rollout, DeviceUpdate]]:
        check_cursor(cursor, keys.is_history_row)
        partition = keys.history_partition(keys.history_bucket(device_id))
        found: list[tuple[Rollout, DeviceUpdate]] = []
        while True:
            rows, cursor = self._table.read_page(
                "PartitionKey eq @partition", {"partition": partition}, _ROWS_PER_REQUEST, cursor
            )
            for row in rows:
                entry = self._read_entry(row.values, device_id)
                if entry is not None:
                    found.append(entry)
                if len(found) == limit:
                    is_last = row is rows[-1] and cursor is None
                    return Page(found, None if is_last else to_cursor(row.values["RowKey"]))
            if cursor is None:
                return Page(found, None)

    def _read_entry(
        self, row: Mapping[str, Any], device_id: str
    ) -> tuple[Rollout, DeviceUpdate] | None:
        """Return the rollout and device update that a history row names, if they were stored."""
        number = find_block_numbers(row, [device_id]).get(device_id)
        snapshot = None if number is None else self._rollouts.get(row["rolloutId"])
        if number is None or snapshot is None:
            return None
        block = self._rollouts.get_blocks(snapshot, [number]).blocks.get(number)
        update = block.find(device_id) if block else None
        return (snapshot.rollout, update) if update else None
