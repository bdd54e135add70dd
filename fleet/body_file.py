"""Read the body of a request from a file, or from standard input."""

import json
import sys
from pathlib import Path
from typing import Any

from fleet.exit_codes import UsageError

STANDARD_INPUT = Path("-")


def read_body(path: Path) -> dict[str, Any]:
    """Return the JSON object of a file; `-` is standard input.

    Raises UsageError for what is no JSON by RFC 8259, or cannot be sent: a name that is given
    twice, NaN, half a surrogate pair. A byte order mark is skipped.
    """
    try:
        content = sys.stdin.buffer.read() if path == STANDARD_INPUT else path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        body = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_without_repeats)
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        detail = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise UsageError(f"{path} is not JSON in UTF-8: {detail}") from None
    if not isinstance(body, dict):
        raise UsageError(f"{path} must hold a JSON object.")
    return body


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} is given twice")
        found[name] = value
    return found
