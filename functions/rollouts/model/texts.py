"""Format durations, numbers of things and times for messages to people."""

from datetime import UTC, datetime, timedelta

# Control characters, and characters that are not visible or change the direction of text: what
# they are in cannot be compared or searched by eye.
HIDDEN = (
    r"\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\U000e0000-\U000e007f"
)

_UNITS = (("min", 60), ("h", 60 * 60), ("day", 24 * 60 * 60))


def duration(length: timedelta) -> str:
    """Return a duration, rounded to seconds, without the units that are zero.

    Examples: "40 s", "1 h 30 min", "1 day", "7 days".
    """
    left = round(length.total_seconds())
    parts: list[str] = []
    for unit, seconds in reversed(_UNITS):
        number, left = divmod(left, seconds)
        if number:
            parts.append(count(number, unit) if unit == "day" else f"{number} {unit}")
    if left or not parts:
        parts.append(f"{left} s")
    return " ".join(parts)


def count(number: int, noun: str) -> str:
    """Return a number and its noun. Examples: "1 device", "2 devices", "0 devices"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def to_be(number: int) -> str:
    """Return the form of "to be" for a number of things: "is" for 1, "are" for 0 and 2."""
    return "is" if number == 1 else "are"


def was(number: int) -> str:
    """Return the past form of "to be" for a number of things: "was" for 1, "were" for 0 and 2."""
    return "was" if number == 1 else "were"


def wave(name: str) -> str:
    """Return a wave's name after its noun, once. Examples: "wave canary", "wave 2"."""
    return name if name.casefold().startswith("wave ") else f"wave {name}"


def wave_first(name: str) -> str:
    """Return the same as the first words of a sentence. Examples: "Wave canary", "Wave 2"."""
    words = wave(name)
    return words[:1].upper() + words[1:]


def utc_time(time: datetime) -> str:
    """Return a time in ISO 8601 UTC, to the second. Example: "2026-12-01T02:00:00Z"."""
    text = time.astimezone(UTC).isoformat(timespec="seconds")
    return text.replace("+00:00", "Z")
