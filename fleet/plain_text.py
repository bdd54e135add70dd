"""Make texts from outside safe to show: devices and callers of the API wrote them.

A terminal obeys control characters: they could clear the screen, hide a failure, or make a link.
"""

import re
from typing import Any

# Control characters, the separators that some programs take for the end of a line, and marks that
# turn the direction of a line.
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+"
)


def one_line(text: str) -> str:
    """Return a text on one line, without control characters."""
    return _INVISIBLE.sub(" ", text).strip()


def make_plain(value: Any) -> Any:
    """Return a JSON value with each of its texts on one line; it is changed itself."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, list):
        value[:] = [make_plain(item) for item in value]
    if isinstance(value, dict):
        for name, item in value.items():
            value[name] = make_plain(item)
    return value
