"""Durations as people write them (`30m`, `1h30m`, `7d`), and as the API does (`PT30M`)."""

import re

from fleet.exit_codes import UsageError

_SHORT = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_ISO = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.ASCII)
_UNITS = (86_400, 3_600, 60, 1)
_MAX_LENGTH = 40


def seconds_of(text: str) -> int:
    """Parse `45s`, `1h30m`, `7d` or ISO 8601; return seconds. Raises UsageError."""
    plain = text.strip()
    found = _SHORT.fullmatch(plain.lower()) or _ISO.fullmatch(plain.upper())
    if len(plain) > _MAX_LENGTH or found is None or not any(found.groups()):
        raise UsageError(f"A duration is 45s, 30m, 1h30m, 7d or PT30M, not {text[:_MAX_LENGTH]!r}.")
    parts = (int(part or 0) for part in found.groups())
    return sum(count * unit for count, unit in zip(parts, _UNITS, strict=True))


def to_iso(text: str) -> str:
    """Return a duration as the API takes it, in seconds. Raises UsageError."""
    return f"PT{seconds_of(text)}S"


def describe(seconds: float) -> str:
    """Return a duration as people write it, with its two largest units."""
    left, parts = max(0, round(seconds)), []
    for unit, name in zip(_UNITS, ("d", "h", "min", "s"), strict=True):
        count, left = divmod(left, unit)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"
