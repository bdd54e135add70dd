"""The store on Azure Table Storage: which rows hold a record, and which are written first."""

from collections.abc import Sequence

from azure.core.credentials import TokenCredential

from functions.errors import LostRaceError
from functions.rollout_store import entities, keys
from functions.rollout_store.port import Hold, KeyUse, Page, Stored
from functions.rollout_store.table import Row, Table, open_table
from functions.rollouts.model import DeviceState, DeviceUpdate, Rollout, RolloutStatus


def open_table_store(source: str, credential: TokenCredential | None) -> "TableStore":
    """The store at `source`, a connection string or, with a credential, a table service's URL.

    Raises SettingsError, StorageUnavailableError.
    """
    return TableStore(open_table(keys.TABLE, source, credential))


class TableStore:
    """Implements `port.RolloutStore`; safe to share between threads.

    A rollout's own row is written last and every read begins with it, so whatever a crash leaves
    behind is never seen.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    # -- rollouts ----------------------------------------------------------------------------

    def add_updates(
        self, rollout_id: str, updates: Sequence[DeviceUpdate]
    ) -> Sequence[Stored[DeviceUpdate]]:
        rows = [entities.update_to_row(rollout_id, item) for item in updates]
        versions = self._table.create(rows)
        by_partition: dict[str, list[Row]] = {}
        for update in updates:
            row = entities.history_to_row(rollout_id, update.device_id)
            by_partition.setdefault(row["PartitionKey"], []).append(row)
        for rows in by_partition.values():
            self._table.create(rows)
        return [Stored(item, version) for item, version in zip(updates, versions, strict=True)]

    def add_rollout(self, rollout: Rollout) -> None:
        self._table.create([entities.rollout_to_row(rollout)])

    def rollout(self, rollout_id: str) -> Stored[Rollout] | None:
        if not keys.is_rollout_id(rollout_id):
            return None
        row = self._table.get(keys.ROLLOUTS, rollout_id)
        return Stored(entities.rollout_from_row(row.values), row.version) if row else None

    def rollouts(
        self, status: RolloutStatus | None, limit: int, cursor: str | None
    ) -> Page[Rollout]:
        rows, more = self._table.page(
            "PartitionKey eq @partition" + (" and status eq @status" if status else ""),
            {"partition": keys.ROLLOUTS, "status": status.value if status else ""},
            limit,
            cursor,
        )
        return Page([entities.rollout_from_row(row.values) for row in rows], more)

    def open_rollout_ids(self) -> Sequence[str]:
        rows = self._table.query(
            "PartitionKey eq @partition and open eq true", {"partition": keys.ROLLOUTS}, ["RowKey"]
        )
        return [row.values["RowKey"] for row in rows]

    def save_rollout(self, rollout: Stored[Rollout]) -> None:
        self._replace(entities.rollout_to_row(rollout.record), rollout.version)

    # -- device updates ----------------------------------------------------------------------

    def update(self, rollout_id: str, device_id: str) -> Stored[DeviceUpdate] | None:
        row = self._table.get(keys.updates_partition(rollout_id), keys.device_row(device_id))
        return Stored(entities.update_from_row(row.values), row.version) if row else None

    def updates(self, rollout_id: str) -> Sequence[Stored[DeviceUpdate]]:
        partition = keys.updates_partition(rollout_id)
        rows = self._table.query("PartitionKey eq @partition", {"partition": partition})
        return [Stored(entities.update_from_row(row.values), row.version) for row in rows]

    def updates_page(
        self, rollout_id: str, state: DeviceState | None, limit: int, cursor: str | None
    ) -> Page[DeviceUpdate]:
        partition = keys.updates_partition(rollout_id)
        rows, more = self._table.page(
            "PartitionKey eq @partition" + (" and state eq @state" if state else ""),
            {"partition": partition, "state": state.value if state else ""},
            limit,
            cursor,
        )
        return Page([entities.update_from_row(row.values) for row in rows], more)

    def states(self, rollout_id: str) -> Sequence[DeviceState]:
        partition = keys.updates_partition(rollout_id)
        rows = self._table.query("PartitionKey eq @partition", {"partition": partition}, ["state"])
        return [DeviceState(row.values["state"]) for row in rows]

    def save_updates(
        self, rollout_id: str, updates: Sequence[Stored[DeviceUpdate]]
    ) -> Sequence[Stored[DeviceUpdate] | None]:
        rows = [(entities.update_to_row(rollout_id, item.record), item.version) for item in updates]
        versions = self._table.replace(rows)
        return [
            Stored(item.record, version) if version else None
            for item, version in zip(updates, versions, strict=True)
        ]

    def history(
        self, device_id: str, limit: int, cursor: str | None
    ) -> Page[tuple[Rollout, DeviceUpdate]]:
        after, before = keys.history_range(device_id)
        rows, more = self._table.page(
            "PartitionKey eq @partition and RowKey gt @after and RowKey lt @before",
            {"partition": keys.history_partition(device_id), "after": after, "before": before},
            limit,
            cursor,
        )
        found = []
        for row in rows:
            rollout = self.rollout(row.values["rolloutId"])
            update = self.update(row.values["rolloutId"], device_id) if rollout else None
            if rollout and update:
                found.append((rollout.record, update.record))
        return Page(found, more)

    # -- devices in hand ---------------------------------------------------------------------

    def hold(self, device_id: str) -> Stored[Hold] | None:
        row = self._table.get(keys.hold_partition(device_id), keys.device_row(device_id))
        return Stored(entities.hold_from_row(row.values), row.version) if row else None

    def add_hold(self, device_id: str, hold: Hold) -> None:
        self._table.create([entities.hold_to_row(device_id, hold)])

    def save_hold(self, device_id: str, hold: Stored[Hold]) -> None:
        self._replace(entities.hold_to_row(device_id, hold.record), hold.version)

    # -- idempotency keys --------------------------------------------------------------------

    def key_use(self, key: str) -> Stored[KeyUse] | None:
        row = self._table.get(keys.idempotency_partition(key), keys.idempotency_row(key))
        return Stored(entities.key_use_from_row(row.values), row.version) if row else None

    def use_key(self, key: str, use: KeyUse) -> Stored[KeyUse]:
        return Stored(use, self._table.create([entities.key_use_to_row(key, use)])[0])

    def save_key(self, key: str, use: Stored[KeyUse]) -> Stored[KeyUse]:
        version = self._replace(entities.key_use_to_row(key, use.record), use.version)
        return Stored(use.record, version)

    def release_key(self, key: str, use: Stored[KeyUse]) -> None:
        self._table.delete(keys.idempotency_partition(key), keys.idempotency_row(key), use.version)

    def ping(self) -> None:
        self._table.get(keys.ROLLOUTS, "none")

    def _replace(self, row: Row, version: str) -> str:
        new = self._table.replace([(row, version)])[0]
        if new is None:
            raise LostRaceError("The row was written by somebody else.")
        return new
