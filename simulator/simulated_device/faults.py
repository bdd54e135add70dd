"""Faults on request: what goes wrong around the agent, each from a door of its own.

`slow=BYTES_PER_SECOND`, `cut=TIMES`, `corrupt`, `disk-full=BYTES`, `wrong-model`, `crash=PHASE`,
`unhealthy`, `busy=SECONDS`, `low-battery=PERCENT`; or a choice of them from a seed.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from device_agent.journal import Phase

_CRASHES = (Phase.DOWNLOADING, Phase.INSTALLING, Phase.SWITCHING, Phase.CONFIRMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong on one device; the default is nothing."""

    bytes_per_second: int | None = None
    cuts: int = 0
    """How many connections are cut, each after a part of the package."""
    corrupt: bool = False
    """Whether a byte of every package is turned over on its way."""
    disk_bytes: int | None = None
    """The size of a disk that is soon full."""
    wrong_model: bool = False
    crash_at: Phase | None = None
    """The device dies, once, as it writes down that it comes to this phase."""
    unhealthy: bool = False
    """Whether new firmware starts and does not pass its health check."""
    busy_seconds: float = 0
    """How long after the start of each life nothing may be installed."""
    battery_percent: int = 100


class FaultError(ValueError):
    """A fault that is not known, or has no such value."""


def parse_faults(texts: Iterable[str]) -> Faults:
    """Read `name` or `name=value`, one for each fault. Raises FaultError."""
    found = Faults()
    for text in texts:
        name, _, value = text.partition("=")
        try:
            found = _with(found, name, value)
        except ValueError as error:
            known = ", ".join(KNOWN_FAULTS)
            raise FaultError(f"no such fault: {text}; the faults are {known}") from error
    return found


def draw_faults(seed: int, device_id: str) -> Faults:
    """One fault or none for a device, always the same for a seed."""
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


def _with(found: Faults, name: str, value: str) -> Faults:
    if name not in KNOWN_FAULTS:
        raise ValueError(name)
    field, read, default = KNOWN_FAULTS[name]
    return replace(found, **{field: read(value or default)})


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(text)
    return int(text)


def _nothing(text: str) -> bool:
    if text:
        raise ValueError(text)
    return True


# Each fault's field, how its value is read, and the value that stands for none.
KNOWN_FAULTS: dict[str, tuple[str, Callable[[str], Any], str]] = {
    "slow": ("bytes_per_second", _count, ""),
    "cut": ("cuts", _count, "1"),
    "corrupt": ("corrupt", _nothing, ""),
    "disk-full": ("disk_bytes", _count, "0"),
    "wrong-model": ("wrong_model", _nothing, ""),
    "crash": ("crash_at", Phase, ""),
    "unhealthy": ("unhealthy", _nothing, ""),
    "busy": ("busy_seconds", _count, ""),
    "low-battery": ("battery_percent", _count, "5"),
}
