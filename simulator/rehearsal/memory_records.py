"""Versions, versioned records and pages, for the stores in memory.

A cursor is `<list>:<key>`: the name of its list, and the key at which the next page starts.
"""

from collections.abc import Iterable, Sequence
from itertools import count, islice

from functions.errors import LostRaceError
from functions.rollout_store.ports.records import CursorError, Page, Stored


class Versions:
    """A source of versions, each different from all before."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def next(self) -> str:
        """Return a new version."""
        return str(next(self._numbers))


class Records[T]:
    """Records by key. A write raises LostRaceError if the record has another version."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self._records: dict[str, Stored[T]] = {}

    def get(self, key: str) -> Stored[T] | None:
        return self._records.get(key)

    def items(self) -> Sequence[tuple[str, Stored[T]]]:
        return list(self._records.items())

    def add(self, key: str, record: T) -> Stored[T]:
        if key in self._records:
            raise LostRaceError(f"A record of {key} exists already.")
        return self._write(key, record)

    def save(self, key: str, read: Stored[T]) -> Stored[T]:
        self._check(key, read)
        return self._write(key, read.record)

    def delete(self, key: str, read: Stored[T]) -> None:
        self._check(key, read)
        del self._records[key]

    def _write(self, key: str, record: T) -> Stored[T]:
        stored = self._records[key] = Stored(record, self._versions.next())
        return stored

    def _check(self, key: str, read: Stored[T]) -> None:
        current = self._records.get(key)
        if current is None or current.version != read.version:
            raise LostRaceError(f"The record of {key} was changed by another request.")


def page[T](name: str, found: Iterable[tuple[str | int, T]], limit: int) -> Page[T]:
    """Return the first `limit` items. `found` are items with their keys."""
    keyed = list(islice(found, limit + 1))
    cursor = f"{name}:{keyed[limit][0]}" if len(keyed) > limit else None
    return Page([item for _, item in keyed[:limit]], cursor)


def to_text(name: str, cursor: str | None) -> str:
    """Return the key at which a page of the list `name` starts; empty for the first page."""
    if cursor is None:
        return ""
    kind, _, key = cursor.partition(":")
    if kind != name:
        raise CursorError("not a cursor that this list returned")
    return key


def to_position(name: str, cursor: str | None) -> int:
    """Return the position at which a page of the list `name` starts; 0 for the first page."""
    key = to_text(name, cursor)
    if cursor is not None and not (key.isascii() and key.isdigit()):
        raise CursorError("not a cursor that this list returned")
    return int(key or 0)
