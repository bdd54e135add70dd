"""Parse JSON that every reader understands in the same way (I-JSON, RFC 7493)."""

import json
from typing import Any

# Readers that keep numbers as doubles change larger integers (RFC 7493, 2.2).
MAX_INTEGER = 2**53 - 1


def parse_json_object(text: str | bytes) -> dict[str, Any]:
    """Parse one JSON object in UTF-8. Raises ValueError for anything else.

    Unlike Python's parser, refuses a repeated name, NaN and Infinity.
    """
    decoded = text if isinstance(text, str) else text.decode()
    try:
        value = json.loads(
            decoded, object_pairs_hook=_reject_duplicates, parse_constant=_reject_constant
        )
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("the JSON is not an object")  # noqa: TRY004 - the text is invalid
    return value


def _reject_duplicates(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(fields)
    if len(names) != len(fields):
        raise ValueError("a JSON object repeats a name")
    return names


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not valid JSON")
