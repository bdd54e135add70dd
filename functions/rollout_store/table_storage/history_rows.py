"""Convert device history to rows: the devices of a rollout, with their block numbers.

A rollout has a row for each bucket that its devices hash to, or several. One of few devices has a
row for each device beside them, in the same transactions, so that a device's history is found
without reading that of others. For a large rollout these would be too many.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import batched
from typing import Any

from functions.rollout_store.table_storage import keys
from functions.rollout_store.table_storage.table import BETWEEN, Row, Table
from functions.rollout_store.table_storage.values import from_columns, to_columns, to_json
from functions.rollouts.model.block import BLOCK_SIZE

# With the longest ids, half of what a row holds.
MAX_DEVICES_PER_ROW = 2_000
# Rollouts of more devices have no rows by device. With this many, a bucket has about 31 of them.
MAX_SMALL_DEVICES = 1_000
# Parts from this number on are of devices that joined: above those of any rollout's creation.
_FIRST_JOINED_PART = 1_000
_BLOCKS_PER_ROW = MAX_DEVICES_PER_ROW // BLOCK_SIZE


def history_to_rows(rollout_id: str, block_numbers: Mapping[str, int]) -> Sequence[Sequence[Row]]:
    """Return the rows of each part of each bucket. `block_numbers` are by device id."""
    by_bucket: dict[int, list[list[Any]]] = {}
    for device_id, number in block_numbers.items():
        by_bucket.setdefault(keys.history_bucket(device_id), []).append([device_id, number])
    is_small = len(block_numbers) <= MAX_SMALL_DEVICES
    return [
        _make_rows(rollout_id, bucket, part, devices, is_small=is_small)
        for bucket, in_bucket in by_bucket.items()
        for part, devices in enumerate(batched(in_bucket, MAX_DEVICES_PER_ROW, strict=False))
    ]


def joined_to_rows(rollout_id: str, block_numbers: Mapping[str, int]) -> Sequence[Sequence[Row]]:
    """Return the rows of devices that join a rollout, with rows by device.

    Their first row depends on their block alone, so several additions share a row.
    """
    by_row: dict[tuple[int, int], list[list[Any]]] = {}
    for device_id, number in block_numbers.items():
        part = _FIRST_JOINED_PART + number // _BLOCKS_PER_ROW
        by_row.setdefault((keys.history_bucket(device_id), part), []).append([device_id, number])
    return [
        _make_rows(rollout_id, bucket, part, devices, is_small=True)
        for (bucket, part), devices in by_row.items()
    ]


def add_devices(row: Row, stored: Mapping[str, Any]) -> Row:
    """Return a row with its own devices and those of the stored row."""
    merged = {**read_block_numbers(stored), **read_block_numbers(row)}
    return {**row, **_devices_columns(list(map(list, merged.items())))}


def _make_rows(
    rollout_id: str, bucket: int, part: int, devices: Sequence[Any], *, is_small: bool
) -> Sequence[Row]:
    """Return the row of one part; behind it, if `is_small`, the rows by device."""
    make_key = keys.small_history_row if is_small else keys.history_row
    common = {"PartitionKey": keys.history_partition(bucket), "rolloutId": rollout_id}
    row = {**common, "RowKey": make_key(rollout_id, part), **_devices_columns(devices)}
    by_device = [
        {**common, "RowKey": keys.device_history_row(device_id, rollout_id), "block": number}
        for device_id, number in (devices if is_small else ())
    ]
    return [row, *by_device]


def _devices_columns(devices: Sequence[Any]) -> Row:
    return to_columns("devices", to_json(devices))


def group_by_bucket(device_ids: Collection[str]) -> Mapping[int, set[str]]:
    """Return the device ids by the number of the bucket that holds their history."""
    by_bucket: dict[int, set[str]] = {}
    for device_id in device_ids:
        by_bucket.setdefault(keys.history_bucket(device_id), set()).add(device_id)
    return by_bucket


def read_rows(
    table: Table, bucket: int, ranges: Sequence[tuple[str, str]]
) -> Iterator[Mapping[str, Any]]:
    """Read the history rows of a bucket that are strictly between pairs of keys."""
    for after, before in ranges:
        values = {"partition": keys.history_partition(bucket), "after": after, "before": before}
        for row in table.query(BETWEEN, values):
            yield row.values


def read_block_numbers(row: Mapping[str, Any]) -> Mapping[str, int]:
    """Return the block numbers of the devices in a row, by device id."""
    return dict(json.loads(from_columns("devices", row)))


def find_block_numbers(row: Mapping[str, Any], device_ids: Collection[str]) -> Mapping[str, int]:
    """Return the block numbers of those of `device_ids` that the row names, by device id."""
    text = from_columns("devices", row)
    if not any(to_json(item) in text for item in device_ids):  # most rows need not be parsed
        return {}
    block_numbers = read_block_numbers(row)
    return {item: block_numbers[item] for item in device_ids if item in block_numbers}
