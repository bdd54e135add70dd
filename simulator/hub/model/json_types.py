"""JSON types, and how this hub reads and writes JSON."""

import json
import math
from collections.abc import Iterable
from typing import Any, NoReturn

from simulator.hub.model.errors import ErrorCode, HubError

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None
type Document = dict[str, Json]

MAX_NESTING = 500
"""Far more than the service accepts and far less than the interpreter allows, so that every value
that was read can be written again inside others."""

_encode = json.JSONEncoder(separators=(",", ":")).encode


def to_json(value: Json) -> bytes:
    """Encode as compact JSON, ASCII only, so that a lone surrogate cannot break the encoding."""
    return _encode(value).encode("ascii")


def from_json(text: bytes) -> Json:
    """Read JSON. Raises DESERIALIZATION_ERROR if it is invalid or nested too deeply."""
    try:
        value: Any = json.loads(text, parse_constant=_refuse, parse_float=_finite)
        if text.count(b"[") + text.count(b"{") > MAX_NESTING:
            _check_nesting(value)
    except (ValueError, RecursionError) as error:
        raise HubError(ErrorCode.DESERIALIZATION_ERROR, f"the body is not JSON: {error}") from error
    return value  # type: ignore[no-any-return]


def _check_nesting(value: Json) -> None:
    """Check the nesting level by level, because recursion is what it protects from."""
    level = [value]
    for _ in range(MAX_NESTING):
        level = [inner for outer in level for inner in _children(outer)]
        if not level:
            return
    raise ValueError(f"nested deeper than {MAX_NESTING} levels")


def _children(value: Json) -> Iterable[Json]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _refuse(word: str) -> NoReturn:
    """Refuse NaN and Infinity: Python reads them, JSON has neither (RFC 8259, section 6)."""
    raise ValueError(f"{word} is not JSON")


def _finite(text: str) -> float:
    """Refuse 1e999, which Python reads as infinity and JSON cannot express."""
    value = float(text)
    if math.isfinite(value):
        return value
    raise ValueError(f"{text} is too large")
