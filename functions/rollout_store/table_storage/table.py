"""Read and write one table of Azure Table Storage. Only this package uses azure-data-tables.

A row's version is its ETag. The SDK repeats a write whose response was lost. The service refuses
the repeat if the first write has changed the row. Every write therefore puts a random signature
into its row, and raises LostRaceError only if the stored row has another signature.

Every written row gets the number of the format (`functions.version`), and every row that is read is
checked: a row of a newer release is left alone. Row keys, read without columns, never change.
"""

import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched, islice
from typing import Any

from azure.core import MatchConditions
from azure.core.credentials import TokenCredential
from azure.core.exceptions import (
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableClient, TableServiceClient, UpdateMode

from functions import version as release
from functions.connections import storage_session
from functions.errors import (
    LostRaceError,
    SettingsError,
)
from functions.last_calls import LastCall
from functions.rollout_store.table_storage.cursors import from_cursor, to_cursor
from functions.rollout_store.table_storage.table_errors import (
    LOST_RACE,
    NOT_FOUND,
    is_table_missing,
    storage_errors,
)
from functions.version import SCHEMA, UNNUMBERED_SCHEMA, check_schema

type Row = dict[str, Any]

# Microsoft Learn, "Performing entity group transactions": operations on one partition.
MAX_ROWS_PER_TRANSACTION = 100
CONNECT_SECONDS = 5
READ_SECONDS = 20
SIGNATURE = "writeId"
# The SDK repeats a POST whose response was lost only if it is told to; transactions are POSTs.
_REPEATED: dict[str, Any] = {"retry_on_methods": frozenset({"GET", "PUT", "DELETE", "POST"})}
# The filters for all rows of one partition, and for those strictly between two row keys.
PARTITION = "PartitionKey eq @partition"
BETWEEN = f"{PARTITION} and RowKey gt @after and RowKey lt @before"

# At INFO the SDK logs every request, which is costly and of no use here.
logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row as it was read."""

    values: Mapping[str, Any]
    version: str


def open_table(
    name: str,
    source: str,
    credential: TokenCredential | None,
    last_call: LastCall | None = None,
    *,
    create: bool = True,
) -> "Table":
    """Open the table `name`. With `create`, create it if it is missing; else call nothing.

    The table records in `last_call` whether the service responds.

    `source` is the storage account's connection string or, with a credential, the URL of its
    table service. Raises SettingsError, StorageUnavailableError.
    """
    options: dict[str, Any] = {
        "connection_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        "transport": RequestsTransport(session=storage_session()),
        "retry_total": 3,
        "retry_backoff_factor": 0.4,
    }
    try:
        service = (
            TableServiceClient(source, credential=credential, **options)
            if credential
            else TableServiceClient.from_connection_string(source, **options)
        )
    except ValueError:
        # Without the cause: the SDK's message may repeat the string, which contains a key.
        raise SettingsError(
            "AzureWebJobsStorage, or ROLLOUT_TABLES if it is set, is not a connection string"
        ) from None
    last_call = last_call or LastCall()
    if not create:
        return Table(service.get_table_client(name), last_call)
    with storage_errors(last_call):
        return Table(service.create_table_if_not_exists(name, **_REPEATED), last_call)


class Table:
    """A client for one table. Threads may share it.

    Methods raise StorageUnavailableError; those that read rows raise NewerSchemaError.
    """

    def __init__(self, client: TableClient, last_call: LastCall | None = None) -> None:
        self._client = client
        self._last_call = last_call or LastCall()

    def get(
        self, partition: str, row_key: str, select: list[str] | None = None
    ) -> StoredRow | None:
        """Read a row, or the columns in `select` alone; return None if it does not exist."""
        with storage_errors(self._last_call):
            try:
                found = self._client.get_entity(partition, row_key, select=_with_schema(select))
                return _to_stored_row(found)
            except ResourceNotFoundError as error:
                if is_table_missing(error):
                    raise
                return None

    def query(
        self,
        text: str,
        values: Mapping[str, str],
        select: list[str] | None = None,
        limit: int | None = None,
    ) -> Iterator[StoredRow]:
        """Return rows in the order of partition and row key, at most `limit`.

        The SDK escapes `values`.
        """
        with storage_errors(self._last_call):
            found = self._client.query_entities(
                text,
                parameters=dict(values),
                select=_with_schema(select),
                results_per_page=limit,
            )
            yield from islice(map(_to_stored_row, found), limit)

    def read_page(
        self, text: str, values: Mapping[str, str], limit: int, cursor: str | None
    ) -> tuple[Sequence[StoredRow], str | None]:
        """Return at most `limit` rows of one partition, and the cursor of the next page.

        Raises CursorError.
        """
        parameters = dict(values)
        if cursor is not None:
            text += " and RowKey gt @cursor"
            parameters["cursor"] = from_cursor(cursor)
        with storage_errors(self._last_call):
            # One row more shows whether a next page exists: the service may end a page early.
            found = self._client.query_entities(
                text, parameters=parameters, results_per_page=limit + 1
            )
            rows: list[StoredRow] = []
            for row in map(_to_stored_row, found):
                if len(rows) == limit:
                    return rows, to_cursor(rows[-1].values["RowKey"])
                rows.append(row)
        return rows, None

    def write(self, row: Row, version: str | None, others: Sequence[Row] = ()) -> str:
        """Create a row (`version` None) or replace it. Return its new version.

        `others` are rows of the same partition, written in the same transaction, whatever they
        contained. Raises LostRaceError if the row exists, or has another version.
        """
        signed = _sign(row)
        try:
            return self._write(signed, version, others)
        except LostRaceError:
            return self._version_of_own_write(signed)

    def put(self, rows: Sequence[Row]) -> None:
        """Write rows of one partition, whatever they contained, 100 per transaction."""
        for part in batched(rows, MAX_ROWS_PER_TRANSACTION, strict=False):
            with storage_errors(self._last_call):
                if len(part) == 1:  # takes a third of a transaction's CPU time
                    self._client.upsert_entity(stamp(part[0]), mode=UpdateMode.REPLACE)
                else:
                    self._client.submit_transaction([_upsert(row) for row in part], **_REPEATED)

    def replace(self, partition: str, row_key: str, version: str, row: Row) -> None:
        """Delete the row that has this version, and write another one. Raises LostRaceError."""
        deleted = {"PartitionKey": partition, "RowKey": row_key}
        condition = {"etag": version, "match_condition": MatchConditions.IfNotModified}
        with storage_errors(self._last_call):
            self._client.submit_transaction([("delete", deleted, condition), _upsert(row)])

    def delete(self, partition: str, row_key: str, version: str) -> None:
        """Delete the row that has this version. Raises LostRaceError."""
        with storage_errors(self._last_call):
            self._client.delete_entity(
                partition, row_key, etag=version, match_condition=MatchConditions.IfNotModified
            )

    def delete_all(self, partition: str, row_keys: Sequence[str], rows: Sequence[Row] = ()) -> None:
        """Delete rows of one partition, whether they exist or not, 100 per transaction.

        `rows` are written before, in the same transactions.
        """
        deletes: list[Any] = [
            ("delete", {"PartitionKey": partition, "RowKey": key}) for key in row_keys
        ]
        for part in batched(
            [*map(_upsert, rows), *deletes], MAX_ROWS_PER_TRANSACTION, strict=False
        ):
            with storage_errors(self._last_call):
                try:
                    self._client.submit_transaction(part, **_REPEATED)
                except HttpResponseError as error:
                    if error.status_code != NOT_FOUND or is_table_missing(error):
                        raise
                    self._carry_out_singly(part)

    def _carry_out_singly(self, operations: Sequence[tuple[Any, ...]]) -> None:
        """Write and delete rows one by one, after a transaction failed because of a missing row."""
        for kind, row, *_ in operations:
            if kind == "upsert":
                self._client.upsert_entity(row, mode=UpdateMode.REPLACE)
            else:  # the SDK takes a missing row for a deleted one
                self._client.delete_entity(row["PartitionKey"], row["RowKey"])

    def _write(self, row: Row, version: str | None, others: Sequence[Row]) -> str:
        with storage_errors(self._last_call):
            if others:
                first = (
                    ("create", row) if version is None else ("update", row, _if_version(version))
                )
                results = self._client.submit_transaction(
                    [first, *map(_upsert, others)], **_REPEATED
                )
                return str(results[0]["etag"])
            if version is None:
                return str(self._client.create_entity(row, **_REPEATED)["etag"])
            return str(self._client.update_entity(row, **_if_version(version))["etag"])

    def _version_of_own_write(self, row: Row) -> str:
        """Return the row's version if this write has stored it. Raises LostRaceError if not."""
        found = self.get(row["PartitionKey"], row["RowKey"])
        if found is None or found.values.get(SIGNATURE) != row[SIGNATURE]:
            raise LostRaceError(LOST_RACE)
        return found.version


def _if_version(version: str) -> dict[str, Any]:
    return {
        "mode": UpdateMode.REPLACE,
        "etag": version,
        "match_condition": MatchConditions.IfNotModified,
    }


def _upsert(row: Row) -> tuple[str, Row, dict[str, Any]]:
    return ("upsert", stamp(row), {"mode": UpdateMode.REPLACE})


def _sign(row: Row) -> Row:
    return {**stamp(row), SIGNATURE: secrets.token_hex(8)}


def stamp(row: Row) -> Row:
    """Return a row with the number of this release's format."""
    return {**row, SCHEMA: release.SCHEMA_VERSION}


def check_row(row: Mapping[str, Any]) -> None:
    """Raise NewerSchemaError if a newer release wrote the row."""
    version = row.get(SCHEMA, UNNUMBERED_SCHEMA)
    name = f"{row.get('PartitionKey', '')}/{row.get('RowKey', '')}"
    check_schema(version, f"The row {name}" if name != "/" else "A row")


def _with_schema(select: list[str] | None) -> list[str] | None:
    """Add the number of the format to the columns to read; not to keys alone."""
    return select if select is None or select == ["RowKey"] else [*select, SCHEMA]


def _to_stored_row(entity: Any) -> StoredRow:
    check_row(entity)
    return StoredRow(entity, entity.metadata["etag"])
