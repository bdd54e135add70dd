"""JSON as Python sees it, and the one way this hub reads and writes it."""

import json
import math
from collections.abc import Iterable
from typing import Any, NoReturn

from simulator.hub.model.errors import ErrorCode, HubError

type Json = bool | int | float | str | list[Json] | dict[str, Json] | None
type Document = dict[str, Json]

MAX_NESTING = 500
"""Far above what the service takes, far below what stops the interpreter: a value that was read
can be written again, inside others."""

_encode = json.JSONEncoder(separators=(",", ":")).encode


def to_json(value: Json) -> bytes:
    """Compact JSON, ASCII only, so that no lone surrogate can break the encoding."""
    return _encode(value).encode("ascii")


def from_json(text: bytes) -> Json:
    """Read JSON. HubError DESERIALIZATION_ERROR if it is none, or nests too deep."""
    try:
        value: Any = json.loads(text, parse_constant=_refuse, parse_float=_finite)
        if text.count(b"[") + text.count(b"{") > MAX_NESTING:
            _check_nesting(value)
    except (ValueError, RecursionError) as error:
        raise HubError(ErrorCode.DESERIALIZATION_ERROR, f"the body is not JSON: {error}") from error
    return value  # type: ignore[no-any-return]


def _check_nesting(value: Json) -> None:
    """Level by level, for recursion is what it guards against."""
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
    """NaN and Infinity: Python reads them, JSON has none (RFC 8259, section 6)."""
    raise ValueError(f"{word} is not JSON")


def _finite(text: str) -> float:
    """Python reads 1e999 as infinity, which no JSON can say again."""
    value = float(text)
    if math.isfinite(value):
        return value
    raise ValueError(f"{text} is too large")
