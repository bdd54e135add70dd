"""Convert values to columns and JSON and back: times, reasons, firmware, long texts."""

import json
import re
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.reason import Reason

# A string column holds 64 KiB in UTF-16 (Microsoft Learn, "Understanding the Table service data
# model"): 32,768 characters, of which those outside the basic plane count twice.
COLUMN_CHARACTERS = 32_000
# A binary column holds 64 KiB (same source).
COLUMN_BYTES = 64_000
_LAST_OF_BASIC_PLANE = "\uffff"
_MICROSECOND = timedelta(microseconds=1)
_DELETE = "\x7f"  # the one ASCII character that Python escapes in JSON without need
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def to_text(time: datetime | None) -> str | None:
    """Return ISO 8601 in UTC with microseconds. It sorts as text and converts back exactly."""
    return None if time is None else time.astimezone(UTC).isoformat(timespec="microseconds")


def to_time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def to_optional_time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def to_microseconds(length: timedelta | None) -> int | None:
    return None if length is None else length // _MICROSECOND


def from_microseconds(count: int | None) -> timedelta | None:
    return None if count is None else count * _MICROSECOND


def reason_to_json(reason: Reason | None) -> Any:
    return None if reason is None else [reason.code, reason.message]


def reason_from_json(value: Any) -> Reason | None:
    return None if value is None else Reason(code=value[0], message=value[1])


def firmware_to_json(firmware: Firmware) -> dict[str, Any]:
    return {
        "version": firmware.version,
        "packageUri": firmware.package_uri,
        "sha256": firmware.sha256,
        "sizeBytes": firmware.size_bytes,
        **({"manifest": firmware.manifest} if firmware.manifest is not None else {}),
        **({"reportedAs": list(firmware.reported_as)} if firmware.reported_as else {}),
    }


def firmware_from_json(value: Mapping[str, Any]) -> Firmware:
    return Firmware(
        version=value["version"],
        package_uri=value["packageUri"],
        sha256=value["sha256"],
        size_bytes=value["sizeBytes"],
        manifest=value.get("manifest"),
        reported_as=tuple(value.get("reportedAs", ())),
    )


def to_json(value: Any) -> str:
    """Return compact JSON that escapes no characters but control characters and lone surrogates."""
    text = _COMPACT.encode(value)
    if text.isascii():
        return text
    return _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def utf16_length(text: str) -> int:
    """Return the UTF-16 code units of a text: characters outside the basic plane count twice."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def count_units(columns: Mapping[str, Any]) -> int:
    """Return the UTF-16 code units that texts and bytes take; two bytes are one unit."""
    values = columns.values()
    texts = sum(utf16_length(value) for value in values if isinstance(value, str))
    return texts + sum(len(value) for value in values if isinstance(value, bytes)) // 2


def escaped_length(text: str) -> int:
    """Return the length of a text in a request, where a non-ASCII character is `\\uXXXX`."""
    is_plain = text.isascii() and _DELETE not in text
    return len(text) if is_plain else len(json.dumps(text))


def to_columns(name: str, text: str) -> dict[str, str]:
    """Divide a long text among the columns `name0`, `name1`, ..."""
    has_basic_plane_only = text.isascii() or max(text) <= _LAST_OF_BASIC_PLANE
    size = COLUMN_CHARACTERS if has_basic_plane_only else COLUMN_CHARACTERS // 2
    starts = range(0, len(text), size)
    return {f"{name}{n}": text[start : start + size] for n, start in enumerate(starts)}


def to_packed_columns(name: str, text: str) -> dict[str, Any]:
    """Divide a text as `to_columns` does; compress one that is too long for a single column.

    A row holds 1 MiB, in UTF-16. What grows with a rollout's devices would exceed it.
    """
    if len(text) <= COLUMN_CHARACTERS:
        return to_columns(name, text)
    packed = zlib.compress(text.encode(), level=1)
    starts = range(0, len(packed), COLUMN_BYTES)
    return {f"{name}{n}": packed[start : start + COLUMN_BYTES] for n, start in enumerate(starts)}


def from_columns(name: str, row: Mapping[str, Any]) -> str:
    """Join the text that was divided. Return an empty text if the row has none."""
    parts: list[Any] = []
    while f"{name}{len(parts)}" in row:
        parts.append(row[f"{name}{len(parts)}"])
    if parts and isinstance(parts[0], bytes):
        return zlib.decompress(b"".join(parts)).decode()
    return "".join(parts)
