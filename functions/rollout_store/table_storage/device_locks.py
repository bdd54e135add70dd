"""Store device locks on Table Storage."""

from collections.abc import Mapping
from typing import Any

from functions.rollout_store.ports.device_locks import DeviceLock
from functions.rollout_store.ports.records import Stored
from functions.rollout_store.table_storage import keys
from functions.rollout_store.table_storage.table import Row, Table
from functions.rollout_store.table_storage.values import to_text, to_time


def device_lock_to_row(device_id: str, lock: DeviceLock) -> Row:
    return {
        "PartitionKey": keys.device_lock_partition(device_id),
        "RowKey": keys.device_row(device_id),
        "rolloutId": lock.rollout_id,
        "takenAt": to_text(lock.taken_at),
    }


def device_lock_from_row(row: Mapping[str, Any]) -> DeviceLock:
    return DeviceLock(rollout_id=row["rolloutId"], taken_at=to_time(row["takenAt"]))


class TableDeviceLockStore:
    """Implement `ports.device_locks.DeviceLockStore`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, device_id: str) -> Stored[DeviceLock] | None:
        partition = keys.device_lock_partition(device_id)
        row = self._table.get(partition, keys.device_row(device_id))
        return Stored(device_lock_from_row(row.values), row.version) if row else None

    def add(self, device_id: str, lock: DeviceLock) -> Stored[DeviceLock]:
        return Stored(lock, self._table.write(device_lock_to_row(device_id, lock), None))

    def save(self, device_id: str, lock: Stored[DeviceLock]) -> Stored[DeviceLock]:
        row = device_lock_to_row(device_id, lock.record)
        return Stored(lock.record, self._table.write(row, lock.version))
