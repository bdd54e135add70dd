"""Store the failures of devices on Table Storage, in one partition."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from functions.rollout_store.ports.records import Stored
from functions.rollout_store.table_storage import keys
from functions.rollout_store.table_storage.table import Row, Table
from functions.rollout_store.table_storage.values import (
    to_json,
    to_optional_time,
    to_text,
    to_time,
)
from functions.rollouts.model.quarantine import FailureRecord

_IN_QUARANTINE = "PartitionKey eq @partition and until gt @now"


def failures_to_row(record: FailureRecord) -> Row:
    failed_at = {rollout_id: to_text(at) for rollout_id, at in record.failed_at.items()}
    return {
        "PartitionKey": keys.QUARANTINE,
        "RowKey": keys.device_row(record.device_id),
        "deviceId": record.device_id,
        "failedAt": to_json(failed_at),
        "until": to_text(record.until),
    }


def failures_from_row(row: Mapping[str, Any]) -> FailureRecord:
    failed_at = json.loads(row["failedAt"])
    return FailureRecord(
        device_id=row["deviceId"],
        failed_at={rollout_id: to_time(at) for rollout_id, at in failed_at.items()},
        until=to_optional_time(row.get("until")),
    )


class TableQuarantineStore:
    """Implement `ports.quarantine.QuarantineStore`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, device_id: str) -> Stored[FailureRecord] | None:
        row = self._table.get(keys.QUARANTINE, keys.device_row(device_id))
        return Stored(failures_from_row(row.values), row.version) if row else None

    def save(self, record: FailureRecord, version: str | None) -> str:
        return self._table.write(failures_to_row(record), version)

    def list_quarantined(self, now: datetime) -> Sequence[FailureRecord]:
        values = {"partition": keys.QUARANTINE, "now": to_text(now) or ""}
        return [failures_from_row(row.values) for row in self._table.query(_IN_QUARANTINE, values)]
