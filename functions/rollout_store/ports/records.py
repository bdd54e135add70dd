"""Define what several ports return: a record with its version, and a page of a list."""

from collections.abc import Sequence
from dataclasses import dataclass

from functions.errors import PortError


@dataclass(frozen=True, slots=True)
class Stored[T]:
    """A record as it was read or written."""

    record: T
    version: str  # changes with every write of the record


@dataclass(frozen=True, slots=True)
class Page[T]:
    """A part of a longer list."""

    items: Sequence[T]
    cursor: str | None  # requests the next page; None on the last page


class CursorError(PortError):
    """The cursor is not one that this list returned."""
