"""Parse and draw the faults of one device, each of which one of the agent's ports simulates.

`slow=BYTES_PER_SECOND`, `cut=TIMES`, `corrupt`, `disk-full=BYTES`, `wrong-model`, `crash=PHASE`,
`unhealthy`, `busy=SECONDS`, `low-battery=PERCENT`; or one drawn from a seed.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from device_agent.journal import Phase

_CRASHES = (Phase.DOWNLOADING, Phase.INSTALLING, Phase.SWITCHING, Phase.CONFIRMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The faults of one device; by default it has no fault."""

    bytes_per_second: int | None = None
    """The speed of a slow network; None means no fault."""
    cuts: int = 0
    """How many connections are lost, each after a part of the package."""
    corrupt: bool = False
    """Whether one byte of every package is changed on its way."""
    disk_bytes: int | None = None
    """The size of a small disk; None means no fault."""
    wrong_model: bool = False
    """Whether the device is of another model than its releases."""
    crash_at: Phase | None = None
    """The phase at whose start the device crashes once; None means no fault."""
    unhealthy: bool = False
    """Whether new firmware starts but fails its health check."""
    busy_seconds: float = 0
    """How long after each start the device defers updates."""
    battery_percent: int = 100
    """The battery's charge; a low one defers updates."""


class FaultError(ValueError):
    """An unknown fault, or an invalid value of one."""


def parse_faults(texts: Iterable[str]) -> Faults:
    """Parse one `name` or `name=value` per fault. Raises FaultError."""
    found = Faults()
    for text in texts:
        name, _, value = text.partition("=")
        try:
            found = _apply(found, name, value)
        except ValueError as error:
            known = ", ".join(KNOWN_FAULTS)
            raise FaultError(f"invalid fault {text!r}; expected one of {known}") from error
    return found


def draw_faults(seed: int, device_id: str) -> Faults:
    """Draw one fault or none for a device; the same for the same seed."""
    chance = random.Random(f"{seed}/{device_id}")
    texts = [
        "",
        f"slow={chance.randint(50_000, 500_000)}",
        f"cut={chance.randint(1, 4)}",
        "corrupt",
        f"disk-full={chance.randint(0, 500_000)}",
        "wrong-model",
        f"crash={chance.choice(_CRASHES)}",
        "unhealthy",
        f"busy={chance.randint(1, 30)}",
        f"low-battery={chance.randint(1, 19)}",
    ]
    return parse_faults(filter(None, [chance.choice(texts)]))


def _apply(found: Faults, name: str, value: str) -> Faults:
    if name not in KNOWN_FAULTS:
        raise ValueError(name)
    field, read, default = KNOWN_FAULTS[name]
    return replace(found, **{field: read(value or default)})


def _parse_count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(text)
    return int(text)


def _parse_flag(text: str) -> bool:
    if text:
        raise ValueError(text)
    return True


# By name: the field of Faults, the parser of its value, and the value to use if none is given.
KNOWN_FAULTS: dict[str, tuple[str, Callable[[str], Any], str]] = {
    "slow": ("bytes_per_second", _parse_count, ""),
    "cut": ("cuts", _parse_count, "1"),
    "corrupt": ("corrupt", _parse_flag, ""),
    "disk-full": ("disk_bytes", _parse_count, "0"),
    "wrong-model": ("wrong_model", _parse_flag, ""),
    "crash": ("crash_at", Phase, ""),
    "unhealthy": ("unhealthy", _parse_flag, ""),
    "busy": ("busy_seconds", _parse_count, ""),
    "low-battery": ("battery_percent", _parse_count, "5"),
}
