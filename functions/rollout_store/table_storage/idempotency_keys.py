"""Store idempotency keys on Table Storage."""

from collections.abc import Mapping
from typing import Any

from functions.rollout_store.ports.idempotency_keys import KeyUse
from functions.rollout_store.ports.records import Stored
from functions.rollout_store.table_storage import keys
from functions.rollout_store.table_storage.table import Row, Table
from functions.rollout_store.table_storage.values import to_text, to_time


def key_use_to_row(key: str, use: KeyUse) -> Row:
    return {
        "PartitionKey": keys.idempotency_partition(key),
        "RowKey": keys.idempotency_row(key),
        "rolloutId": use.rollout_id,
        "bodyHash": use.body_hash,
        "usedAt": to_text(use.used_at),
    }


def key_use_from_row(row: Mapping[str, Any]) -> KeyUse:
    return KeyUse(
        rollout_id=row["rolloutId"], body_hash=row["bodyHash"], used_at=to_time(row["usedAt"])
    )


class TableIdempotencyKeys:
    """Implement `ports.idempotency_keys.IdempotencyKeys`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, key: str) -> Stored[KeyUse] | None:
        row = self._table.get(keys.idempotency_partition(key), keys.idempotency_row(key))
        return Stored(key_use_from_row(row.values), row.version) if row else None

    def add(self, key: str, use: KeyUse) -> Stored[KeyUse]:
        return Stored(use, self._table.write(key_use_to_row(key, use), None))

    def save(self, key: str, use: Stored[KeyUse]) -> Stored[KeyUse]:
        row = key_use_to_row(key, use.record)
        return Stored(use.record, self._table.write(row, use.version))

    def delete(self, key: str, use: Stored[KeyUse]) -> None:
        partition, row = keys.idempotency_partition(key), keys.idempotency_row(key)
        self._table.delete(partition, row, use.version)
