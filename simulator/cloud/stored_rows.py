"""Read rows of Table Storage, to show what a rollout has stored."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from azure.data.tables import TableServiceClient

_MAX_ROWS_OF_A_KIND = 4
_MAX_COLUMNS = 4
_MAX_CHARACTERS = 36
_FIRST_COLUMNS = ("status", "version", "updates0", "devices0", "rolloutId", "waves0", "revision")
"""Columns of the rollout service that are shown before others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRow:
    """One entity, with a few of its columns as text."""

    partition: str
    row: str
    columns: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTable:
    """A few rows of each kind in a table."""

    name: str
    rows: tuple[StoredRow, ...]
    total: int
    """The number of all its rows."""


def read_tables(connection_string: str) -> Iterator[StoredTable]:
    """Yield every table that has rows."""
    with TableServiceClient.from_connection_string(connection_string) as service:
        for table in service.list_tables():
            with service.get_table_client(table.name) as client:
                stored = _summarize(table.name, client.list_entities())
            if stored.total:
                yield stored


def _summarize(name: str, entities: Iterable[dict[str, object]]) -> StoredTable:
    # A kind is the first word of the partition key, such as `rollout` in `rollout-<id>`.
    kinds: Counter[str] = Counter()
    rows = []
    for entity in entities:
        kind = str(entity["PartitionKey"]).partition("-")[0]
        kinds[kind] += 1
        if kinds[kind] <= _MAX_ROWS_OF_A_KIND:
            rows.append(_row(entity))
    return StoredTable(name=name, rows=tuple(rows), total=kinds.total())


def _row(entity: dict[str, object]) -> StoredRow:
    return StoredRow(
        partition=_shorten(entity["PartitionKey"]),
        row=_shorten(entity["RowKey"]),
        columns=", ".join(f"{name}={_shorten(entity[name])}" for name in _columns(entity)),
    )


def _columns(entity: dict[str, object]) -> list[str]:
    """Return the names of a few columns that have a value, `_FIRST_COLUMNS` first."""
    filled = [
        name
        for name, value in entity.items()
        if value not in (None, "", "[]", "{}") and name not in ("PartitionKey", "RowKey")
    ]
    order = {name: position for position, name in enumerate(_FIRST_COLUMNS)}
    filled.sort(key=lambda name: order.get(name, len(order)))
    return filled[:_MAX_COLUMNS]


def _shorten(value: object) -> str:
    text = str(value)
    return text if len(text) <= _MAX_CHARACTERS else f"{text[: _MAX_CHARACTERS - 1]}…"
