"""The store on Azure Table Storage; the one place that knows azure-data-tables."""

import base64
import binascii
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import batched
from typing import Any

from azure.core import MatchConditions
from azure.core.credentials import TokenCredential
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.data.tables import TableClient, TableErrorCode, TableServiceClient, UpdateMode

from functions.errors import LostRaceError, StorageUnavailableError
from functions.rollout_store import entities, keys
from functions.rollout_store.entities import Row
from functions.rollout_store.port import KeyUse, Page, Stored
from functions.rollouts.model import DeviceState, DeviceUpdate, Rollout, RolloutStatus

# A transaction holds at most 100 operations on one partition (Microsoft Learn, "Performing entity
# group transactions").
TRANSACTION_AT_MOST = 100
CONNECT_SECONDS = 5
READ_SECONDS = 20

# At INFO the SDK describes every request: costly, and nobody's question.
logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)


def open_table_store(source: str, credential: TokenCredential | None) -> "TableStore":
    """A store on the account named by `source`; its table is created if it is missing.

    `source` is a connection string, or, with a credential, the table service's URL.
    Raises StorageUnavailableError.
    """
    options: dict[str, Any] = {
        "connection_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        "retry_total": 3,
        "retry_backoff_factor": 0.4,
    }
    service = (
        TableServiceClient(source, credential=credential, **options)
        if credential
        else TableServiceClient.from_connection_string(source, **options)
    )
    with _storage_errors():
        return TableStore(service.create_table_if_not_exists(keys.TABLE))


class TableStore:
    """Implements `port.RolloutStore`; safe to share between threads."""

    def __init__(self, table: TableClient) -> None:
        self._table = table

    # -- rollouts ----------------------------------------------------------------------------

    def add(
        self, rollout: Rollout, updates: Sequence[DeviceUpdate]
    ) -> Sequence[Stored[DeviceUpdate]]:
        """Device updates and history first, the rollout's own row last.

        Reads begin at the rollout's row, so whatever a crash leaves behind is never seen.
        """
        versions = self._create_all([entities.update_to_row(rollout.id, item) for item in updates])
        by_partition: dict[str, list[Row]] = {}
        for update in updates:
            row = entities.history_to_row(rollout.id, update.device_id)
            by_partition.setdefault(row["PartitionKey"], []).append(row)
        for rows in by_partition.values():
            self._create_all(rows)
        self._create_all([entities.rollout_to_row(rollout)])
        return [Stored(item, version) for item, version in zip(updates, versions, strict=True)]

    def rollout(self, rollout_id: str) -> Stored[Rollout] | None:
        if not keys.is_rollout_id(rollout_id):
            return None
        row = self._get(keys.ROLLOUTS, rollout_id)
        return _stored(row, entities.rollout_from_row) if row else None

    def rollouts(
        self, status: RolloutStatus | None, limit: int, cursor: str | None
    ) -> Page[Rollout]:
        rows, more = self._page(
            "PartitionKey eq @partition" + (" and status eq @status" if status else ""),
            {"partition": keys.ROLLOUTS, "status": status.value if status else ""},
            limit,
            cursor,
        )
        return Page([entities.rollout_from_row(row) for row in rows], more)

    def open_rollouts(self) -> Sequence[Stored[Rollout]]:
        rows = self._query(
            "PartitionKey eq @partition and open eq true", {"partition": keys.ROLLOUTS}
        )
        return [_stored(row, entities.rollout_from_row) for row in rows]

    def save_rollout(self, rollout: Stored[Rollout]) -> None:
        self._replace(entities.rollout_to_row(rollout.record), rollout.version)

    # -- device updates ----------------------------------------------------------------------

    def update(self, rollout_id: str, device_id: str) -> Stored[DeviceUpdate] | None:
        row = self._get(keys.updates_partition(rollout_id), keys.device_row(device_id))
        return _stored(row, entities.update_from_row) if row else None

    def updates(self, rollout_id: str) -> Sequence[Stored[DeviceUpdate]]:
        partition = keys.updates_partition(rollout_id)
        rows = self._query("PartitionKey eq @partition", {"partition": partition})
        return [_stored(row, entities.update_from_row) for row in rows]

    def updates_page(
        self, rollout_id: str, state: DeviceState | None, limit: int, cursor: str | None
    ) -> Page[DeviceUpdate]:
        partition = keys.updates_partition(rollout_id)
        rows, more = self._page(
            "PartitionKey eq @partition" + (" and state eq @state" if state else ""),
            {"partition": partition, "state": state.value if state else ""},
            limit,
            cursor,
        )
        return Page([entities.update_from_row(row) for row in rows], more)

    def states(self, rollout_id: str) -> Sequence[DeviceState]:
        partition = keys.updates_partition(rollout_id)
        rows = self._query("PartitionKey eq @partition", {"partition": partition}, select=["state"])
        return [DeviceState(row["state"]) for row in rows]

    def save_updates(
        self, rollout_id: str, updates: Sequence[Stored[DeviceUpdate]]
    ) -> Sequence[Stored[DeviceUpdate] | None]:
        saved: list[Stored[DeviceUpdate] | None] = []
        for part in batched(updates, TRANSACTION_AT_MOST, strict=False):
            try:
                versions: Sequence[str | None] = self._replace_all(rollout_id, part)
            except LostRaceError:
                versions = [self._replace_or_lose(rollout_id, item) for item in part]
            saved += [
                Stored(item.record, version) if version else None
                for item, version in zip(part, versions, strict=True)
            ]
        return saved

    def history(
        self, device_id: str, limit: int, cursor: str | None
    ) -> Page[tuple[Rollout, DeviceUpdate]]:
        after, before = keys.history_range(device_id)
        rows, more = self._page(
            "PartitionKey eq @partition and RowKey gt @after and RowKey lt @before",
            {"partition": keys.history_partition(device_id), "after": after, "before": before},
            limit,
            cursor,
        )
        found = []
        for row in rows:
            rollout = self.rollout(row["rolloutId"])
            update = self.update(row["rolloutId"], device_id) if rollout else None
            if rollout and update:
                found.append((rollout.record, update.record))
        return Page(found, more)

    # -- idempotency keys --------------------------------------------------------------------

    def key_use(self, key: str) -> Stored[KeyUse] | None:
        row = self._get(keys.key_partition(key), keys.key_row(key))
        return _stored(row, entities.key_from_row) if row else None

    def use_key(self, key: str, use: KeyUse) -> None:
        self._create_all([entities.key_to_row(key, use)])

    def take_over_key(self, key: str, use: Stored[KeyUse]) -> None:
        self._replace(entities.key_to_row(key, use.record), use.version)

    def ping(self) -> None:
        self._get(keys.ROLLOUTS, "none")

    # -- the table ---------------------------------------------------------------------------

    def _get(self, partition: str, row: str) -> Mapping[str, Any] | None:
        with _storage_errors(self._table):
            try:
                return self._table.get_entity(partition, row)
            except ResourceNotFoundError as error:
                if _table_is_missing(error):
                    raise
                return None

    def _query(
        self, text: str, values: Mapping[str, str], select: list[str] | None = None
    ) -> Iterator[Mapping[str, Any]]:
        with _storage_errors(self._table):
            yield from self._table.query_entities(text, parameters=dict(values), select=select)

    def _page(
        self, text: str, values: Mapping[str, str], limit: int, cursor: str | None
    ) -> tuple[Sequence[Mapping[str, Any]], str | None]:
        """At most `limit` rows after `cursor`, which is the last row key of the page before."""
        if cursor is not None:
            text += " and RowKey gt @cursor"
            values = {**values, "cursor": _row_key(cursor)}
        with _storage_errors(self._table):
            query = self._table.query_entities(
                text, parameters=dict(values), results_per_page=limit
            )
            rows: list[Mapping[str, Any]] = []
            # The service may end a page early; one row more tells whether there is a next page.
            for row in query:
                if len(rows) == limit:
                    return rows, _cursor(rows[-1]["RowKey"])
                rows.append(row)
        return rows, None

    def _create_all(self, rows: Sequence[Row]) -> Sequence[str]:
        """Create rows of one partition; a single one goes alone, which costs a third."""
        with _storage_errors(self._table):
            if len(rows) == 1:
                return [self._table.create_entity(rows[0])["etag"]]
            versions: list[str] = []
            for part in batched(rows, TRANSACTION_AT_MOST, strict=False):
                results = self._table.submit_transaction([("create", row) for row in part])
                versions += [result["etag"] for result in results]
            return versions

    def _replace(self, row: Row, version: str) -> str:
        with _storage_errors(self._table):
            result = self._table.update_entity(
                row,
                mode=UpdateMode.REPLACE,
                etag=version,
                match_condition=MatchConditions.IfNotModified,
            )
            return str(result["etag"])

    def _replace_all(
        self, rollout_id: str, updates: Sequence[Stored[DeviceUpdate]]
    ) -> Sequence[str]:
        if len(updates) == 1:
            row = entities.update_to_row(rollout_id, updates[0].record)
            return [self._replace(row, updates[0].version)]
        operations = [
            (
                "update",
                entities.update_to_row(rollout_id, item.record),
                {
                    "mode": UpdateMode.REPLACE,
                    "etag": item.version,
                    "match_condition": MatchConditions.IfNotModified,
                },
            )
            for item in updates
        ]
        with _storage_errors(self._table):
            return [result["etag"] for result in self._table.submit_transaction(operations)]

    def _replace_or_lose(self, rollout_id: str, update: Stored[DeviceUpdate]) -> str | None:
        try:
            return self._replace(entities.update_to_row(rollout_id, update.record), update.version)
        except LostRaceError:
            return None


def _stored[T](row: Mapping[str, Any], read: Callable[[Mapping[str, Any]], T]) -> Stored[T]:
    return Stored(read(row), row.metadata["etag"])  # type: ignore[attr-defined]


def _cursor(row_key: str) -> str:
    return base64.urlsafe_b64encode(row_key.encode()).decode()


def _row_key(cursor: str) -> str:
    """Raises ValueError for a text that is no cursor."""
    try:
        return base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise ValueError("not a cursor that this API gave out") from error


@contextmanager
def _storage_errors(table: TableClient | None = None) -> Iterator[None]:
    """Let every failure of the SDK leave as one of this project's errors.

    A table that somebody deleted is made again, so that the next call finds it.
    """
    try:
        yield
    except HttpResponseError as error:
        if table is not None and _table_is_missing(error):
            with suppress(AzureError):
                table.create_table()
            raise StorageUnavailableError("The table was missing and is made again.") from error
        if error.status_code in _RACE_STATUSES:
            raise LostRaceError("the row was written by somebody else") from error
        raise StorageUnavailableError(f"Table Storage answered {error.status_code}.") from error
    except AzureError as error:
        raise StorageUnavailableError("Table Storage cannot be reached.") from error


# 404: the row to replace is gone; 409: it exists already; 412: its ETag is another.
_RACE_STATUSES = frozenset({404, 409, 412})


def _table_is_missing(error: HttpResponseError) -> bool:
    return getattr(error, "error_code", None) == TableErrorCode.TABLE_NOT_FOUND
