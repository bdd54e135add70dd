"""What a rollout left in Table Storage, read with Microsoft's own SDK."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from azure.data.tables import TableServiceClient

_ROWS_SHOWN_OF_EACH_KIND = 4
_COLUMNS_SHOWN = 4
_CHARACTERS_SHOWN = 36
_TELLING = (
    "status",
    "state",
    "deviceId",
    "attempt",
    "progressPercent",
    "completed",
    "version",
    "updates0",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRow:
    """One entity, with a few of its columns as text."""

    partition: str
    row: str
    columns: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTable:
    """A few rows of each kind in a table, and how many it has in all."""

    name: str
    rows: tuple[StoredRow, ...]
    total: int


def stored_tables(connection_string: str) -> Iterator[StoredTable]:
    """Every table that has rows."""
    with TableServiceClient.from_connection_string(connection_string) as service:
        for table in service.list_tables():
            with service.get_table_client(table.name) as client:
                stored = _shown(table.name, client.list_entities())
            if stored.total:
                yield stored


def _shown(name: str, entities: Iterable[dict[str, object]]) -> StoredTable:
    # A kind is the first word of the partition key, such as `updates` in `updates-<rollout>`.
    kinds: Counter[str] = Counter()
    rows = []
    for entity in entities:
        kind = str(entity["PartitionKey"]).partition("-")[0]
        kinds[kind] += 1
        if kinds[kind] <= _ROWS_SHOWN_OF_EACH_KIND:
            rows.append(_row(entity))
    return StoredTable(name=name, rows=tuple(rows), total=kinds.total())


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
