"""Values that columns and JSON can hold: times, reasons, long texts in several columns."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from functions.rollouts.model.device_update import Reason

# A string column holds 64 KiB in UTF-16 (Microsoft Learn, "Understanding the Table service data
# model"), so 32,768 characters; one outside the basic plane counts twice.
COLUMN_CHARACTERS = 32_000
_LAST_OF_BASIC_PLANE = "\uffff"
_DELETE = "\x7f"  # the one character of ASCII that JSON need not escape, and Python does
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def text(time: datetime | None) -> str | None:
    """ISO 8601 in UTC to the microsecond: reads well, sorts as text, and comes back exactly."""
    return None if time is None else time.astimezone(UTC).isoformat(timespec="microseconds")


def time(value: str) -> datetime:
    return datetime.fromisoformat(value)


def optional_time(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def reason_to_json(reason: Reason | None) -> Any:
    return None if reason is None else [reason.code, reason.message]


def reason_from_json(value: Any) -> Reason | None:
    return None if value is None else Reason(code=value[0], message=value[1])


def to_json(value: Any) -> str:
    """JSON that spends one character on one, whatever the language. Lone surrogates are escaped."""
    written = _COMPACT.encode(value)
    if written.isascii():
        return written
    return _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


def utf16_units(written: str) -> int:
    """What a text takes of a row, where a character has two bytes and some have four."""
    return len(written) if written.isascii() else len(written.encode("utf-16-le")) // 2


def escaped_length(written: str) -> int:
    """The length of a text on its way to the service: six characters for one beyond ASCII."""
    plain = written.isascii() and _DELETE not in written
    return len(written) if plain else len(json.dumps(written))


def chunks(name: str, written: str) -> dict[str, str]:
    """A long text as the columns `name0`, `name1` and on."""
    narrow = written.isascii() or max(written) <= _LAST_OF_BASIC_PLANE
    size = COLUMN_CHARACTERS if narrow else COLUMN_CHARACTERS // 2
    parts = range(0, len(written), size)
    return {f"{name}{n}": written[at : at + size] for n, at in enumerate(parts)}


def joined(name: str, row: Mapping[str, Any]) -> str:
    """The text whose parts are in these columns; empty if there are none."""
    parts: list[str] = []
    while f"{name}{len(parts)}" in row:
        parts.append(row[f"{name}{len(parts)}"])
    return "".join(parts)
