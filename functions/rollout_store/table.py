"""One table of Azure Table Storage; the one place that knows azure-data-tables.

Rows come with a version, the row's ETag. The SDK repeats a write whose answer was lost, and may
then be told that the row exists, or has another ETag: its own. So every write signs its row, and
a race counts as lost only when the signature found there is another's.
"""

import base64
import binascii
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import batched
from typing import Any

from azure.core import MatchConditions
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.data.tables import TableClient, TableErrorCode, TableServiceClient, UpdateMode

from functions.errors import LostRaceError, SettingsError, StorageUnavailableError
from functions.rollout_store.port import CursorError

type Row = dict[str, Any]

# A transaction holds at most 100 operations on one partition (Microsoft Learn, "Performing entity
# group transactions").
TRANSACTION_AT_MOST = 100
CONNECT_SECONDS = 5
READ_SECONDS = 20
SIGNATURE = "writeId"

# At INFO the SDK describes every request: costly, and nobody's question.
logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row as it was read."""

    values: Mapping[str, Any]
    version: str


def open_table(name: str, source: str, credential: TokenCredential | None) -> "Table":
    """The table `name`, created if it is missing.

    `source` is the storage account's connection string or, with a credential, the URL of its
    table service. Raises SettingsError, StorageUnavailableError.
    """
    options: dict[str, Any] = {
        "connection_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
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
        # Without its cause: the SDK's message may hold the string, and the string holds a key.
        raise SettingsError("AzureWebJobsStorage is not a storage connection string") from None
    with _storage_errors(None):
        return Table(service.create_table_if_not_exists(name))


class Table:
    """Safe to share between threads. Every method raises StorageUnavailableError."""

    def __init__(self, client: TableClient) -> None:
        self._client = client

    def get(self, partition: str, row_key: str) -> StoredRow | None:
        with _storage_errors(self._client):
            try:
                return _stored(self._client.get_entity(partition, row_key))
            except ResourceNotFoundError as error:
                if _table_is_missing(error):
                    raise
                return None

    def query(
        self, text: str, values: Mapping[str, str], select: list[str] | None = None
    ) -> Iterator[StoredRow]:
        """Rows by partition and row key. Values enter the filter as parameters, escaped."""
        with _storage_errors(self._client):
            found = self._client.query_entities(text, parameters=dict(values), select=select)
            yield from map(_stored, found)

    def page(
        self, text: str, values: Mapping[str, str], limit: int, cursor: str | None
    ) -> tuple[Sequence[StoredRow], str | None]:
        """At most `limit` rows of one partition, and the cursor of the next ones.

        Raises CursorError for a cursor that did not come from here.
        """
        known = dict(values)
        if cursor is not None:
            text += " and RowKey gt @cursor"
            known["cursor"] = to_row_key(cursor)
        with _storage_errors(self._client):
            # One row more tells whether there is a next page: the service may end one early.
            found = self._client.query_entities(text, parameters=known, results_per_page=limit + 1)
            rows: list[StoredRow] = []
            for row in map(_stored, found):
                if len(rows) == limit:
                    return rows, to_cursor(rows[-1].values["RowKey"])
                rows.append(row)
        return rows, None

    def write(self, row: Row, version: str | None, others: Sequence[Row] = ()) -> str:
        """Create a row, or replace it if it has the version given; gives its new version.

        `others`, of the same partition, are written with it whatever they held: all or nothing.
        Raises LostRaceError if the row exists, or has another version.
        """
        signed = _signed(row)
        try:
            return self._write(signed, version, others)
        except LostRaceError:
            return self._own_version(signed)

    def put(self, rows: Sequence[Row]) -> None:
        """Write rows of one partition whatever they held, a hundred at a time."""
        for part in batched(rows, TRANSACTION_AT_MOST, strict=False):
            with _storage_errors(self._client):
                if len(part) == 1:  # alone it costs a third of a transaction's CPU
                    self._client.upsert_entity(part[0], mode=UpdateMode.REPLACE)
                else:
                    self._client.submit_transaction([_upsert(row) for row in part])

    def delete(self, partition: str, row_key: str, version: str) -> None:
        """Delete a row that has this version. Raises LostRaceError."""
        with _storage_errors(self._client):
            self._client.delete_entity(
                partition, row_key, etag=version, match_condition=MatchConditions.IfNotModified
            )

    def _write(self, row: Row, version: str | None, others: Sequence[Row]) -> str:
        with _storage_errors(self._client):
            if others:
                first = ("create", row) if version is None else ("update", row, _only(version))
                results = self._client.submit_transaction([first, *map(_upsert, others)])
                return str(results[0]["etag"])
            if version is None:
                return str(self._client.create_entity(row)["etag"])
            return str(self._client.update_entity(row, **_only(version))["etag"])

    def _own_version(self, row: Row) -> str:
        """The version of a row that this very write left. Raises LostRaceError."""
        found = self.get(row["PartitionKey"], row["RowKey"])
        if found is None or found.values.get(SIGNATURE) != row[SIGNATURE]:
            raise LostRaceError("The row was written by somebody else.")
        return found.version


def _only(version: str) -> dict[str, Any]:
    return {
        "mode": UpdateMode.REPLACE,
        "etag": version,
        "match_condition": MatchConditions.IfNotModified,
    }


def _upsert(row: Row) -> tuple[str, Row, dict[str, Any]]:
    return ("upsert", row, {"mode": UpdateMode.REPLACE})


def _signed(row: Row) -> Row:
    return {**row, SIGNATURE: secrets.token_hex(8)}


def _stored(entity: Any) -> StoredRow:
    return StoredRow(entity, entity.metadata["etag"])


def to_cursor(row_key: str) -> str:
    """A row key, or a place, as a cursor that nobody is tempted to read."""
    return base64.urlsafe_b64encode(row_key.encode()).decode()


def to_row_key(cursor: str) -> str:
    """What `to_cursor` was given. Raises CursorError for a cursor that did not come from here."""
    try:
        return base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise CursorError("not one that this API gave out") from error


def check_cursor(cursor: str | None, is_known: Callable[[str], bool]) -> None:
    """Raise CursorError for a cursor that stands for no row of a list."""
    if cursor is not None and not is_known(to_row_key(cursor)):
        raise CursorError("not one that this API gave out")


@contextmanager
def _storage_errors(client: TableClient | None) -> Iterator[None]:
    """Let every failure of the SDK leave as one of this project's errors.

    A table that somebody deleted is made again, so that the next call finds it.
    """
    try:
        yield
    except HttpResponseError as error:
        if client is not None and _table_is_missing(error):
            with suppress(AzureError):
                client.create_table()
            raise StorageUnavailableError("The table was missing and is made again.") from error
        if error.status_code in _RACE_STATUSES:
            raise LostRaceError("The row was written by somebody else.") from error
        raise StorageUnavailableError(f"Table Storage answered {error.status_code}.") from error
    except AzureError as error:
        raise StorageUnavailableError("Table Storage cannot be reached.") from error


# 404: the row to replace is gone; 409: it exists already; 412: its ETag is another.
_RACE_STATUSES = frozenset({404, 409, 412})


def _table_is_missing(error: HttpResponseError) -> bool:
    return getattr(error, "error_code", None) == TableErrorCode.TABLE_NOT_FOUND
