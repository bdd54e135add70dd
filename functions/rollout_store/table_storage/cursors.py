"""Make and read cursors: row keys, or positions in a list, that callers need not understand."""

import base64
import binascii
from collections.abc import Callable

from functions.rollout_store.ports.records import CursorError

_MESSAGE = "not a cursor that this list returned"
# No list has a billion items.
_MAX_POSITION_DIGITS = 9


def to_cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def from_cursor(cursor: str) -> str:
    """Return the text that `to_cursor` was called with. Raises CursorError."""
    try:
        return base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise CursorError(_MESSAGE) from error


def check_cursor(cursor: str | None, is_valid: Callable[[str], bool]) -> None:
    """Raise CursorError if the text of a cursor is not valid for its list."""
    if cursor is not None and not is_valid(from_cursor(cursor)):
        raise CursorError(_MESSAGE)


def to_position(cursor: str | None) -> int:
    """Return the position that a cursor continues at; 0 for None. Raises CursorError."""
    if cursor is None:
        return 0
    text = from_cursor(cursor)
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_POSITION_DIGITS):
        raise CursorError(_MESSAGE)
    return int(text)
