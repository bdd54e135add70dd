"""Read values that devices write: of any type, and spelled as the device likes.

Reading is generous in form: `"1"` is 1, `"Completed"` is `completed`, `"45 %"` is 45. It is never
generous in meaning: an unreadable value counts as absent, and no function here raises.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

_NUMBER = re.compile(r"[+-]?\d{1,9}(\.\d{1,9})?")
# Longer texts are no number and no JSON object of a device: a twin's text has at most 4 KB.
_MAX_CHARACTERS = 4096


def to_mapping(value: Any) -> Mapping[str, Any]:
    """Return an object, also one that is written as JSON in a text; else an empty object."""
    if isinstance(value, str) and value.lstrip()[:1] == "{" and len(value) <= _MAX_CHARACTERS:
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, Mapping) else {}


def to_json(value: Any) -> str:
    """Return a value as JSON; empty if that is not possible."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return ""


def to_text(value: Any) -> str:
    """Return a text as it is and any other value as JSON; empty if the value is absent."""
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value)


def to_word(value: Any) -> str:
    """Return a text in lower case, without spaces around it; empty if it is no text."""
    return value.strip().casefold() if isinstance(value, str) else ""


def to_whole_number(value: Any) -> int | None:
    """Return a number without its fraction, also one that is written in a text; else None."""
    if isinstance(value, str):
        text = value.strip()
        return int(float(text)) if _NUMBER.fullmatch(text) else None
    if isinstance(value, float):
        return int(value) if math.isfinite(value) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def to_percent(value: Any) -> int | None:
    """Return a percentage, moved into 0..100; None if `value` is no number."""
    text = value.strip().removesuffix("%") if isinstance(value, str) else value
    number = to_whole_number(text)
    return None if number is None else max(0, min(100, number))
