"""Store target parts and device history on Table Storage."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from heapq import merge
from typing import Any

from functions.errors import LostRaceError
from functions.rollout_store.ports.records import Page
from functions.rollout_store.ports.rollouts import RolloutStore
from functions.rollout_store.table_storage import keys
from functions.rollout_store.table_storage.cursors import check_cursor, from_cursor, to_cursor
from functions.rollout_store.table_storage.history_rows import (
    add_devices,
    find_block_numbers,
    group_by_bucket,
    history_to_rows,
    joined_to_rows,
    read_block_numbers,
    read_rows,
)
from functions.rollout_store.table_storage.table import Row, Table
from functions.rollout_store.table_storage.values import from_columns, to_columns, to_json
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.target import TargetDevice

# Attempts to add devices to a history row. Whenever one fails, another caller has added some.
_MAX_ADDS = 20
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
        for rows in history_to_rows(rollout_id, block_numbers):
            self._table.put(rows)

    def add_history(self, rollout_id: str, block_numbers: Mapping[str, int]) -> None:
        for row, *by_device in joined_to_rows(rollout_id, block_numbers):
            self._add_devices(row, by_device)

    def _add_devices(self, row: Row, by_device: Sequence[Row]) -> None:
        """Add the devices of `row` to the stored row with its keys, or store it as a new one."""
        for _ in range(_MAX_ADDS):
            stored = self._table.get(row["PartitionKey"], row["RowKey"])
            if stored is not None and read_block_numbers(row).items() <= (
                read_block_numbers(stored.values).items()
            ):
                return
            merged = add_devices(row, stored.values) if stored else row
            with suppress(LostRaceError):
                self._table.write(merged, stored.version if stored else None, by_device)
                return
        raise LostRaceError("The history of a rollout was changed by other requests; try again.")

    def get_block_numbers(
        self, rollout_id: str, device_ids: Collection[str] | None = None
    ) -> Mapping[str, int]:
        by_bucket = None if device_ids is None else group_by_bucket(device_ids)
        ranges = keys.history_ranges(rollout_id)
        found: dict[str, int] = {}
        for bucket in range(keys.HISTORY_BUCKETS) if by_bucket is None else by_bucket:
            for row in read_rows(self._table, bucket, ranges):
                found |= read_block_numbers(row)
        return (
            found if device_ids is None else {key: found[key] for key in device_ids if key in found}
        )

    def find_later(
        self, rollout_id: str, device_ids: Collection[str]
    ) -> Mapping[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        ranges = keys.later_history_ranges(rollout_id)
        for bucket, wanted in group_by_bucket(device_ids).items():
            for row in read_rows(self._table, bucket, ranges):
                devices = wanted.intersection(read_block_numbers(row))
                if devices:
                    found.setdefault(row["rolloutId"], set()).update(devices)
        return {later_id: frozenset(found[later_id]) for later_id in sorted(found)}

    def list_history(
        self, device_id: str, limit: int, cursor: str | None
    ) -> Page[tuple[Rollout, DeviceUpdate]]:
        check_cursor(cursor, keys.is_history_row)
        after = "" if cursor is None else from_cursor(cursor)
        # Each source is in the order of rollout ids, and read only as far as the page needs.
        named = merge(self._by_device(device_id, after), self._large(device_id, after))
        found: list[tuple[Rollout, DeviceUpdate]] = []
        last_key = after
        for row_key, rollout_id, number in named:
            if len(found) == limit:
                return Page(found, to_cursor(last_key))
            entry = self._read_entry(rollout_id, number, device_id)
            if entry is not None:
                found.append(entry)
            last_key = row_key
        return Page(found, None)

    def _by_device(self, device_id: str, after: str) -> Iterator[tuple[str, str, int]]:
        """Yield a key for cursors, rollout id and block number of the device's small rollouts."""
        bucket = keys.history_bucket(device_id)
        rows = keys.device_history_range(device_id, keys.history_rollout(after))
        for row in read_rows(self._table, bucket, [rows]):
            rollout_id = str(row["rolloutId"])
            yield keys.history_row(rollout_id, 0), rollout_id, int(row["block"])

    def _large(self, device_id: str, after: str) -> Iterator[tuple[str, str, int]]:
        """Yield the same of other rollouts: large ones, and those of earlier releases."""
        rows = keys.large_history_range(after)
        for row in read_rows(self._table, keys.history_bucket(device_id), [rows]):
            number = find_block_numbers(row, [device_id]).get(device_id)
            if number is not None:
                yield str(row["RowKey"]), str(row["rolloutId"]), number

    def _read_entry(
        self, rollout_id: str, number: int, device_id: str
    ) -> tuple[Rollout, DeviceUpdate] | None:
        """Return a rollout and its device update, if they were stored."""
        snapshot = self._rollouts.get(rollout_id)
        if snapshot is None:
            return None
        block = self._rollouts.get_blocks(snapshot, [number]).blocks.get(number)
        update = block.find(device_id) if block else None
        return (snapshot.rollout, update) if update else None
