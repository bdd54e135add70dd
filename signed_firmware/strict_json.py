"""JSON read so that no two readers can understand it differently (I-JSON, RFC 7493)."""

import json
from typing import Any

# Beyond it, readers that keep numbers as doubles see another number (RFC 7493, 2.2).
MAX_INTEGER = 2**53 - 1


def parse_json_object(text: str | bytes) -> dict[str, Any]:
    """Read one JSON object in UTF-8. Raises ValueError for anything else.

    Refuses what Python's parser lets through: a name given twice, NaN and Infinity.
    """
    decoded = text if isinstance(text, str) else text.decode()
    try:
        value = json.loads(
            decoded, object_pairs_hook=_without_duplicates, parse_constant=_no_constant
        )
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - the text is wrong, not its type
    return value


def _without_duplicates(members: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(members)
    if len(names) != len(members):
        raise ValueError("a JSON object names a member twice")
    return names


def _no_constant(name: str) -> None:
    raise ValueError(f"JSON has no {name}")
