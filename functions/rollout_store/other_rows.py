"""The small rows: targets, device history, firmware, pace, holds and idempotency keys."""

import json
from collections.abc import Mapping, Sequence
from itertools import batched
from typing import Any

from functions.rollout_store import keys
from functions.rollout_store.plain import chunks, joined, text, time, to_json
from functions.rollout_store.port import DeviceLock, KeyUse
from functions.rollout_store.rollout_rows import firmware_from_json, firmware_to_json
from functions.rollout_store.table import Row
from functions.rollouts.model.rollout import Firmware
from functions.rollouts.rollout.pacing import Budget
from functions.rollouts.rollout.start_order import TargetDevice

# With the longest ids, half of what a row may hold.
HISTORY_ROW_DEVICES = 2_000


def target_to_row(rollout_id: str, number: int, members: Sequence[TargetDevice]) -> Row:
    written = to_json([[member.device_id, member.stratum] for member in members])
    return {
        "PartitionKey": keys.rollout_partition(rollout_id),
        "RowKey": keys.target_row(number),
        **chunks("members", written),
    }


def target_from_row(row: Mapping[str, Any]) -> Sequence[TargetDevice]:
    return [
        TargetDevice(device_id, stratum)
        for device_id, stratum in json.loads(joined("members", row))
    ]


def history_to_rows(rollout_id: str, places: Mapping[str, int]) -> Sequence[Row]:
    """Which devices are in the rollout, and in which of its blocks, by the devices' buckets."""
    by_bucket: dict[int, list[list[Any]]] = {}
    for device_id, block in places.items():
        by_bucket.setdefault(keys.history_bucket(device_id), []).append([device_id, block])
    return [
        {
            "PartitionKey": keys.history_partition(bucket),
            "RowKey": keys.history_row(rollout_id, part),
            "rolloutId": rollout_id,
            **chunks("devices", to_json(found)),
        }
        for bucket, all_found in by_bucket.items()
        for part, found in enumerate(batched(all_found, HISTORY_ROW_DEVICES, strict=False))
    ]


def block_in_history(row: Mapping[str, Any], device_id: str) -> int | None:
    """The block of a device that the row names."""
    written = joined("devices", row)
    if to_json(device_id) not in written:  # most rows do not, and need not be read
        return None
    found: dict[str, int] = dict(json.loads(written))
    return found.get(device_id)


def firmware_to_row(firmware: Firmware) -> Row:
    return {
        "PartitionKey": keys.FIRMWARE,
        "RowKey": keys.firmware_row(firmware.version),
        "version": firmware.version,
        "firmware": to_json(firmware_to_json(firmware)),
    }


def firmware_from_row(row: Mapping[str, Any]) -> Firmware:
    return firmware_from_json(json.loads(row["firmware"]))


def pace_to_row(pace: Budget) -> Row:
    return {
        "PartitionKey": keys.PACE,
        "RowKey": keys.PACE_ROW,
        "at": text(pace.at),
        "starts": float(pace.starts),
        "twinReads": float(pace.twin_reads),
        "queries": float(pace.queries),
        "factor": float(pace.factor),
        "messages": float(pace.messages_spent),
    }


def pace_from_row(row: Mapping[str, Any]) -> Budget:
    return Budget(
        at=time(row["at"]),
        starts=row["starts"],
        twin_reads=row["twinReads"],
        queries=row["queries"],
        factor=row["factor"],
        messages_spent=row["messages"],
    )


def hold_to_row(device_id: str, hold: DeviceLock) -> Row:
    return {
        "PartitionKey": keys.hold_partition(device_id),
        "RowKey": keys.device_row(device_id),
        "rolloutId": hold.rollout_id,
        "takenAt": text(hold.taken_at),
    }


def hold_from_row(row: Mapping[str, Any]) -> DeviceLock:
    return DeviceLock(rollout_id=row["rolloutId"], taken_at=time(row["takenAt"]))


def key_use_to_row(key: str, use: KeyUse) -> Row:
    return {
        "PartitionKey": keys.idempotency_partition(key),
        "RowKey": keys.idempotency_row(key),
        "rolloutId": use.rollout_id,
        "bodyHash": use.body_hash,
        "usedAt": text(use.used_at),
    }


def key_use_from_row(row: Mapping[str, Any]) -> KeyUse:
    return KeyUse(
        rollout_id=row["rolloutId"], body_hash=row["bodyHash"], used_at=time(row["usedAt"])
    )
