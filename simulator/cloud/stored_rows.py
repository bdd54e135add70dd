"""What a rollout left in Table Storage, read with Microsoft's own SDK."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from azure.data.tables import TableServiceClient

_ROWS_SHOWN = 8
_COLUMNS_SHOWN = 4
_CHARACTERS_SHOWN = 36
_TELLING = ("status", "state", "deviceId", "attempt", "progressPercent", "completed", "version")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRow:
    """One entity, with a few of its columns as text."""

    partition: str
    row: str
    columns: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTable:
    """A table's first rows, and how many it has in all."""

    name: str
    rows: tuple[StoredRow, ...]
    total: int


def stored_tables(connection_string: str) -> Iterator[StoredTable]:
    """Every table that has rows."""
    with TableServiceClient.from_connection_string(connection_string) as service:
        for table in service.list_tables():
            with service.get_table_client(table.name) as client:
                entities = client.list_entities()
                rows = tuple(_row(entity) for entity in islice(entities, _ROWS_SHOWN))
                total = len(rows) + sum(1 for _ in entities)
            if rows:
                yield StoredTable(name=table.name, rows=rows, total=total)


def _row(entity: dict[str, object]) -> StoredRow:
    return StoredRow(
        partition=_short(entity["PartitionKey"]),
        row=_short(entity["RowKey"]),
        columns=", ".join(f"{name}={_short(entity[name])}" for name in _columns(entity)),
    )


def _columns(entity: dict[str, object]) -> list[str]:
    """The most telling columns first; what they are called is the rollout service's affair."""
    filled = [
        name
        for name, value in entity.items()
        if value is not None and name not in ("PartitionKey", "RowKey")
    ]
    order = {name.lower(): place for place, name in enumerate(_TELLING)}
    filled.sort(key=lambda name: order.get(name.lower(), len(order)))
    return filled[:_COLUMNS_SHOWN]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _CHARACTERS_SHOWN else f"{text[: _CHARACTERS_SHOWN - 1]}…"
