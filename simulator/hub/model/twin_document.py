"""The rules of a twin's tags and properties: limits, merge patches and `$metadata`.

Source: Microsoft Learn, "Understand and use device twins in IoT Hub", sections "Tags and
properties format", "Device twin size" and "Device twin metadata".
"""

from collections.abc import Mapping

from simulator.hub.model.errors import invalid
from simulator.hub.model.json_types import Document, Json

MAX_DEPTH = 10
MAX_KEY_BYTES = 1024
MAX_STRING_BYTES = 4096
MAX_TAGS_BYTES = 8 * 1024
MAX_PROPERTIES_BYTES = 32 * 1024
_SMALLEST_INTEGER = -4503599627370496
_LARGEST_INTEGER = 4503599627370495
_RESERVED = frozenset({"$metadata", "$version"})


def check_patch(patch: Document, where: str) -> Document:
    """Return the patch without `$metadata` and `$version`. Raises ARGUMENT_INVALID.

    A caller that sends back a twin it has read includes both, but cannot write them.
    """
    own = {key: value for key, value in patch.items() if key not in _RESERVED}
    _check_object(own, where, 1)
    return own


def check_size(document: Document, limit_bytes: int, where: str) -> None:
    """Raise ARGUMENT_INVALID if the merged section is larger than the hub stores."""
    size = _size(document)
    if size > limit_bytes:
        raise invalid(f"{where} would take {size} bytes; the limit is {limit_bytes}")


def merge_patch(current: Document, patch: Document) -> Document:
    """Return a new document: null removes, objects merge, other values replace (RFC 7396)."""
    result = dict(current)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            before = result.get(key)
            result[key] = merge_patch(before if isinstance(before, dict) else {}, value)
        else:
            result[key] = value
    return result


def stamp_metadata(metadata: Document, patch: Document, stamp: Mapping[str, Json]) -> Document:
    """Return the `$metadata` tree after a patch, with `stamp` on every level of the patch.

    A removed key has no entry; the level above is stamped.
    """
    result: Document = {**metadata, **stamp}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            before = result.get(key)
            result[key] = stamp_metadata(before if isinstance(before, dict) else {}, value, stamp)
        else:
            result[key] = dict(stamp)
    return result


def _check_object(document: Document, where: str, depth: int, *, in_array: bool = False) -> None:
    """Check an object. A null removes a key, but not in an array, which is replaced as a whole."""
    if depth > MAX_DEPTH and document:
        raise invalid(f"{where} is nested deeper than {MAX_DEPTH} levels")
    for key, value in document.items():
        _check_key(key, where)
        if value is not None or in_array:
            _check_value(value, f"{where}.{key}", depth, in_array=in_array)


def _check_value(value: Json, where: str, depth: int, *, in_array: bool = False) -> None:
    match value:
        case dict():
            _check_object(value, where, depth + 1, in_array=in_array)
        case list():
            _check_array(value, where, depth + 1)
        case str() if len(value.encode("utf-8", "replace")) > MAX_STRING_BYTES:
            raise invalid(f"{where} is longer than {MAX_STRING_BYTES} bytes")
        case int() if not _SMALLEST_INTEGER <= value <= _LARGEST_INTEGER:
            raise invalid(f"{where} is outside the range of a twin's integers")
        case None:
            raise invalid(f"{where} is a null inside an array")


def _check_array(array: list[Json], where: str, depth: int) -> None:
    if depth > MAX_DEPTH and array:
        raise invalid(f"{where} is nested deeper than {MAX_DEPTH} levels")
    for item in array:
        _check_value(item, where, depth, in_array=True)


def _check_key(key: str, where: str) -> None:
    if not key or len(key.encode("utf-8", "replace")) > MAX_KEY_BYTES:
        raise invalid(f"{where} has an empty key, or one longer than {MAX_KEY_BYTES} bytes")
    if any(char in ".$ " or char < " " or "\x7f" <= char <= "\x9f" for char in key):
        raise invalid(f"{where} has a key with '.', '$', a space or a control character: {key!r}")


def _size(value: Json) -> int:
    """Return the size: a string or key by its characters, a number 8 bytes, a boolean 4."""
    match value:
        case dict():
            return sum(len(key) + _size(item) for key, item in value.items())
        case list():
            return sum(map(_size, value))
        case str():
            return len(value)
        case bool():
            return 4
        case None:
            return 0
        case _:
            return 8
