"""The result rows of a query: whole rows, projections or aggregates.

Source: Microsoft Learn, "IoT Hub query language...", sections "SELECT clause" and "GROUP BY
clause", and "Queries for IoT Hub jobs", section "Limitations".
"""

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from simulator.hub.model.errors import QueryError
from simulator.hub.model.json_types import Document, Json, to_json
from simulator.hub.model.query import syntax
from simulator.hub.model.query.evaluation import (
    KINDS,
    as_document,
    evaluator,
    is_number,
    predicate,
)
from simulator.hub.model.query.paths import Evaluator, Field, Paths, document_path, twin_path
from simulator.hub.model.query.syntax import AGGREGATES
from simulator.hub.model.query.tree import UNDEFINED, Call, Item, PathTo, Query, Undefined
from simulator.hub.model.store import Entry
from simulator.hub.model.twin import twin_document


class Collection(StrEnum):
    """What a query can select FROM."""

    DEVICES = "devices"
    MODULES = "devices.modules"
    JOBS = "devices.jobs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A compiled query. Exactly one of `row` and `aggregate` is set.

    Its functions take rows of the collection: an Entry, or for jobs a row with a `document`.
    """

    collection: Collection
    item_type: str
    """The header `x-ms-item-type`."""
    top: int | None
    """Rows to return at most; None for all."""
    matches: Callable[[Any], bool]
    """The WHERE condition."""
    row: Callable[[Any], Document] | None = None
    """Returns a row's result."""
    aggregate: Callable[[Iterable[Any]], list[Document]] | None = None
    """Returns the results of all selected rows."""


@functools.lru_cache(256)
def compile_query(text: str) -> Selection:
    """Parse and compile. Raises QueryError."""
    query = syntax.parse(text)
    if query.collection == Collection.JOBS:
        return _over_jobs(query)
    if query.collection not in (Collection.DEVICES, Collection.MODULES):
        raise QueryError(f"unknown collection {query.collection}", query.collection_position)
    if query.group_by and query.collection != Collection.DEVICES:
        raise QueryError("GROUP BY is supported for devices only", query.collection_position)
    select = functools.partial(
        Selection,
        collection=Collection(query.collection),
        top=query.top,
        matches=_condition(query, twin_path),
    )
    if query.items is None:
        if query.group_by:
            raise QueryError("GROUP BY needs a SELECT list, not *")
        return select(item_type="twin", row=_whole_twin)
    if query.group_by or any(_is_aggregate(item) for item in query.items):
        return select(item_type="raw", aggregate=_aggregation(query.items, query))
    return select(item_type="raw", row=_projection(query.items))


def _condition(query: Query, paths: Paths) -> Callable[[Any], bool]:
    return predicate(query.condition, paths) if query.condition else lambda _row: True


def _over_jobs(query: Query) -> Selection:
    """Select whole rows: projections and aggregates are not supported over jobs."""
    if query.items is not None or query.group_by:
        raise QueryError("devices.jobs can only be queried with SELECT *")
    return Selection(
        collection=Collection.JOBS,
        item_type="deviceJob",
        top=query.top,
        matches=_condition(query, _job_path),
        row=lambda job: job.document,
    )


def _job_path(names: tuple[str, ...]) -> Evaluator:
    """Read a path with or without `devices.jobs` before it.

    The page filters on `createdTimeUtc`, its rows have `createdDateTimeUtc`; both are read.
    """
    own = names[2:] if names[:2] == ("devices", "jobs") else names
    if own[:1] == ("createdTimeUtc",):
        own = ("createdDateTimeUtc", *own[1:])
    read = document_path(own)
    return lambda job: read(job.document)


def _whole_twin(entry: Entry) -> Document:
    return twin_document(entry.device, entry.twin)


def _projection(items: tuple[Item, ...]) -> Callable[[Entry], Document]:
    columns = [
        (_column_name(item, number), evaluator(item.expression, twin_path))
        for number, item in enumerate(items, 1)
    ]
    return lambda entry: as_document([(name, value(entry)) for name, value in columns])


def _column_name(item: Item, number: int) -> str:
    """Return the alias, else a path's last name, else `$1`, `$2`... (the last is unverified)."""
    if item.alias is not None:
        return item.alias
    return item.expression.names[-1] if isinstance(item.expression, PathTo) else f"${number}"


def _is_aggregate(item: Item) -> bool:
    return isinstance(item.expression, Call) and item.expression.function in AGGREGATES


type _GroupKey = tuple[str, Json | bytes]
type _Column = tuple[str, Callable[[list[Entry]], Field]]


def _aggregation(
    items: tuple[Item, ...], query: Query
) -> Callable[[Iterable[Entry]], list[Document]]:
    keys = [twin_path(path.names) for path in query.group_by]
    columns = [_aggregate_column(item, n, query.group_by) for n, item in enumerate(items, 1)]

    def rows(entries: Iterable[Entry]) -> list[Document]:
        groups: dict[tuple[_GroupKey, ...], list[Entry]] = {} if keys else {(): []}
        for entry in entries:
            key = tuple([_group_key(read(entry)) for read in keys])
            groups.setdefault(key, []).append(entry)
        return [
            as_document([(name, value(group)) for name, value in columns])
            for group in groups.values()
        ]

    return rows


def _group_key(value: Field) -> _GroupKey:
    """Return a key that is equal where `=` is true: `1` and `1.0`, not `1` and `true`."""
    if isinstance(value, Undefined):
        return "undefined", None
    kind = KINDS.get(value.__class__)
    return ("text", to_json(value)) if kind is None else (kind, value)


def _aggregate_column(item: Item, number: int, group_by: tuple[PathTo, ...]) -> _Column:
    name = _column_name(item, number)
    expression = item.expression
    if isinstance(expression, Call) and expression.function in AGGREGATES:
        return name, _aggregate(expression)
    if isinstance(expression, PathTo) and expression in group_by:
        value = twin_path(expression.names)
        return name, lambda group: value(group[0])
    raise QueryError(f"{name} is neither an aggregate nor in GROUP BY")


def _aggregate(call: Call) -> Callable[[list[Entry]], Field]:
    if call.function == "COUNT":
        if call.argument is not None:
            raise QueryError("COUNT takes no argument", call.position)
        return len
    if call.argument is None:
        raise QueryError(f"{call.function} needs a path", call.position)
    value = evaluator(call.argument, twin_path)
    fold = _FOLDS[call.function]
    return lambda group: _fold(fold, value, group)


_FOLDS: dict[str, Callable[[list[float]], float]] = {
    "AVG": lambda numbers: math.fsum(numbers) / len(numbers),
    "SUM": sum,
    "MIN": min,
    "MAX": max,
}


def _fold(
    fold: Callable[[list[float]], float], value: Evaluator, group: list[Entry]
) -> Json | Undefined:
    """Calculate over the numbers; undefined without numbers, or if JSON cannot hold the result."""
    numbers = [number for entry in group if is_number(number := value(entry))]
    if not numbers:
        return UNDEFINED
    try:
        result = fold(numbers)  # type: ignore[arg-type]
    except OverflowError:
        return UNDEFINED
    return result if math.isfinite(result) else UNDEFINED
