"""Pages of query results, over twins as they were `lag_seconds` ago, and over jobs as they are.

Source: Microsoft Learn, REST reference, "Query - Get twins"; and "IoT Hub query language...",
which describes the delay of queries behind twin writes.
"""

import base64
import binascii
import hashlib
import json
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import Any, Protocol

from simulator.hub.model.clock import Clock
from simulator.hub.model.errors import invalid
from simulator.hub.model.json_types import Document
from simulator.hub.model.query.selection import Collection, Selection, compile_query
from simulator.hub.model.store import Entry, Store

MAX_PAGE_ROWS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of rows."""

    rows: list[Document]
    item_type: str
    """The header `x-ms-item-type`."""
    continuation: str | None
    """None on the last page."""


class JobRow(Protocol):
    """One device's part of a job. `serial` grows from row to row."""

    @property
    def serial(self) -> int: ...

    @property
    def document(self) -> Document: ...


class Queries:
    """Runs queries against the store as it was `lag_seconds` ago; 0 sees every write at once.

    `job_rows` must be set to a function that returns the rows of `devices.jobs`, by serial.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        lag_seconds: float,
    ) -> None:
        self._clock = clock
        self._lag_seconds = lag_seconds
        self._devices, self._modules = store.entries, store.modules
        self.job_rows: Callable[[], Iterable[JobRow]] = tuple
        self._coming: deque[tuple[float, str, Entry | None]] = deque()
        if lag_seconds > 0:
            self._devices, self._modules = {}, {}
            store.watch(self._on_change)

    def matching(self, text: str) -> list[Entry]:
        """Return every device or module that a query over twins selects, without paging.

        Raises QueryError.
        """
        selection = compile_query(text)
        return list(filter(selection.matches, self._entries(selection.collection)))

    def run(self, text: str, page_rows: int | None, continuation: str | None) -> Page:
        """Return one page.

        Raises QueryError, or ARGUMENT_INVALID for a page size or a continuation.
        """
        if page_rows is not None and page_rows < 1:
            raise invalid("x-ms-max-item-count must be at least 1")
        selection = compile_query(text)
        binding = _binding(text, page_rows)
        position, taken = _read_continuation(continuation, binding)
        size = min(page_rows or MAX_PAGE_ROWS, MAX_PAGE_ROWS)
        if selection.top is not None:
            if taken > selection.top:
                raise invalid("the continuation does not belong to this query and page size")
            size = min(size, selection.top - taken)
        rows, position, more = self._rows(selection, position, size)
        taken += len(rows)
        at_end = not more or taken == selection.top
        return Page(
            rows=rows,
            item_type=selection.item_type,
            continuation=None if at_end else _write_continuation(binding, position, taken),
        )

    def _rows(
        self, selection: Selection, position: int, size: int
    ) -> tuple[list[Document], int, bool]:
        """Return the rows after `position`, the new position, and whether more rows follow."""
        entries = self._entries(selection.collection)
        if selection.aggregate is not None:
            rows = selection.aggregate(filter(selection.matches, entries))
            after = position + size
            return rows[position:after], after, len(rows) > after
        assert selection.row is not None  # noqa: S101  one of the two is set
        start = bisect_right(entries, position, key=attrgetter("serial"))
        matching = filter(selection.matches, islice(entries, start, None))
        found = list(islice(matching, size + 1))
        shown = found[:size]
        last = shown[-1].serial if shown else position
        return [selection.row(entry) for entry in shown], last, len(found) > size

    def _entries(self, collection: Collection) -> list[Any]:
        """List a collection in order of registration, and so by serial."""
        if collection is Collection.JOBS:
            return list(self.job_rows())
        self._catch_up()
        visible = self._devices if collection is Collection.DEVICES else self._modules
        return list(visible.values())

    def _catch_up(self) -> None:
        """Apply the changes that are old enough to be visible."""
        seen_until = self._clock.now() - self._lag_seconds
        while self._coming and self._coming[0][0] <= seen_until:
            _time, key, entry = self._coming.popleft()
            visible = self._modules if "/" in key else self._devices
            if entry is None:
                visible.pop(key, None)
            else:
                visible[key] = entry

    def _on_change(self, key: str, entry: Entry | None) -> None:
        self._coming.append((self._clock.now(), key, entry))
        self._catch_up()


def _binding(text: str, page_rows: int | None) -> str:
    """Return what a continuation belongs to: a query text and a page size, hashed."""
    return hashlib.sha256(f"{page_rows}\n{text}".encode("utf-8", "replace")).hexdigest()[:16]


def _write_continuation(binding: str, position: int, taken: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([binding, position, taken]).encode()).decode()


def _read_continuation(text: str | None, binding: str) -> tuple[int, int]:
    if not text:
        return 0, 0
    try:
        match json.loads(base64.urlsafe_b64decode(text)):
            case [str(bound), int(position), int(taken)] if (
                bound == binding and position >= 0 and taken >= 0
            ):
                return position, taken
    except (binascii.Error, ValueError, RecursionError):
        pass
    raise invalid("the continuation does not belong to this query and page size")
