"""Outages of a virtual fleet: the network of many devices is away for a time, and comes back."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import inf
from typing import NamedTuple

from simulator.rehearsal.durations import parse_length
from simulator.simulated_fleet.shares import share

_SYNTAX = (
    "write it like 10m@30m or 10m@30m:berlin: its length, its time after the start, its devices"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """Devices are away for `seconds`, from `start` seconds after the start of the rollout on."""

    seconds: float
    start: float
    stratum: str | None = None
    """The stratum whose devices are away; None: devices of all strata."""
    share: Decimal = Decimal(100)
    """Percent of those devices."""


class OutagePeriod(NamedTuple):
    """An outage on the time axis of a rehearsal."""

    begins: float
    """Virtual seconds since the beginning of the rehearsal."""
    ends: float
    where: str
    """Which devices, for people."""
    devices: int


class Period(NamedTuple):
    """A time without connection, in seconds since 1970."""

    begins: float
    ends: float


def parse_outage(text: str) -> Outage:
    """Parse `LENGTH@START[:STRATUM][:SHARE]`. Raises ValueError."""
    when, *rest = (part.strip() for part in text.split(":"))
    length, sign, start = when.partition("@")
    if not sign or not all(rest):
        raise ValueError(f"{text!r} is not an outage; {_SYNTAX}")
    portion = share(rest.pop()) if rest and rest[-1].endswith("%") else Decimal(100)
    if len(rest) > 1:
        raise ValueError(f"{text!r} names more than one stratum; {_SYNTAX}")
    seconds = parse_length(length)
    if seconds <= 0:
        raise ValueError(f"{text!r} must last longer than 0s")
    return Outage(
        seconds=seconds, start=parse_length(start), stratum=rest[0] if rest else None, share=portion
    )


def check(outages: Iterable[Outage], strata: Sequence[str]) -> None:
    """Raise ValueError if an outage names a stratum that does not exist."""
    for outage in outages:
        if outage.stratum is not None and outage.stratum not in strata:
            known = f"; the strata are {', '.join(strata)}" if strata else "; --stratum names none"
            raise ValueError(f"--outage names the stratum {outage.stratum!r}{known}")


def describe(outage: Outage) -> str:
    """Return which devices are away. Examples: "all devices", "20% of the devices of berlin"."""
    of = "the devices" if outage.stratum is None else f"the devices of {outage.stratum}"
    if outage.share == 100:  # noqa: PLR2004 - percent
        return "all devices" if outage.stratum is None else of
    return f"{outage.share}% of {of}"


def is_hit(outage: Outage, number: int, stratum: str, device_id: str, seed: int) -> bool:
    """Return whether a device is away; `number` tells outages of the same share apart."""
    if outage.stratum not in (None, stratum):
        return False
    digest = hashlib.sha256(f"{seed}:outage:{number}:{device_id}".encode()).digest()
    return int.from_bytes(digest[:8]) < int(outage.share * 2**64 / 100)


def offline_periods(changes: Sequence[float], *, offline: bool) -> list[Period]:
    """Return when a device is offline that changes its connection at these times."""
    times = [-inf, *changes] if offline else list(changes)
    ends = [*times[1::2], inf] if len(times) % 2 else times[1::2]
    return [Period(begins, end) for begins, end in zip(times[::2], ends, strict=True)]


def merge(periods: Iterable[Period]) -> tuple[bool, tuple[float, ...]]:
    """Return whether a device begins offline, and when it goes online and offline in turn."""
    merged: list[Period] = []
    for period in sorted(periods):
        if merged and period.begins <= merged[-1].ends:
            merged[-1] = Period(merged[-1].begins, max(merged[-1].ends, period.ends))
        else:
            merged.append(period)
    offline = bool(merged) and merged[0].begins == -inf
    times = [at for period in merged for at in period if abs(at) != inf]
    return offline, tuple(times)
