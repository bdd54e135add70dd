"""Strata of a virtual fleet: devices with the same value of `stratifyBy`, and their own faults."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from simulator.rehearsal.durations import Durations, parse_durations
from simulator.simulated_fleet.shares import Shares, share

OTHER = "other"
"""The stratum of the devices that no option names."""

_WHOLE = Decimal(100)
_SYNTAX = (
    "write it like berlin:60%:fail=0.5%:update-takes=6m..14m; all but the name may be left out"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """One stratum, as an option describes it. What is None is as for the whole fleet."""

    name: str
    share: Decimal | None = None
    """Percent of the devices; None: an equal part of what the other strata leave."""
    faults: dict[str, Decimal] = field(default_factory=dict)
    """Percent of its devices with each fault, by the name of the field of `Shares`."""
    update_takes: Durations | None = None
    fail_after: Durations | None = None

    def shares(self, of_fleet: Shares) -> Shares:
        """Return the faults of its devices. Raises ValueError if they total over 100%."""
        known = {name: getattr(of_fleet, name) for name in _FAULTS.values()}
        try:
            return Shares(**(known | self.faults))
        except ValueError as error:
            raise ValueError(f"--stratum {self.name}: {error}") from None


_FAULTS = {
    name.replace("_", "-"): name for name in ("fail", "hang", "offline", "revert", "wrong_version")
}
_DURATIONS: dict[str, Callable[[str], Durations]] = dict.fromkeys(
    ("update-takes", "fail-after"), parse_durations
)


def parse_stratum(text: str) -> Stratum:
    """Parse `NAME[:SHARE][:KEY=VALUE]...`. Raises ValueError."""
    name, *parts = (part.strip() for part in text.split(":"))
    if not name or _is_share(name):
        raise ValueError(f"{text!r} does not begin with the name of a stratum; {_SYNTAX}")
    portion = share(parts.pop(0)) if parts and "=" not in parts[0] else None
    faults: dict[str, Decimal] = {}
    durations: dict[str, Durations] = {}
    for part in parts:
        key, sign, value = part.partition("=")
        if not sign or key not in {*_FAULTS, *_DURATIONS}:
            raise ValueError(
                f"{part!r} of {text!r} is unknown; expected one of"
                f" {', '.join(f'{known}=...' for known in (*_FAULTS, *_DURATIONS))}; {_SYNTAX}"
            )
        if _FAULTS.get(key, key) in faults or key.replace("-", "_") in durations:
            raise ValueError(f"{text!r} has {key} twice")
        if key in _FAULTS:
            faults[_FAULTS[key]] = share(value)
        else:
            durations[key.replace("-", "_")] = _DURATIONS[key](value)
    return Stratum(name=name, share=portion, faults=faults, **durations)


def complete(strata: Sequence[Stratum]) -> list[tuple[Stratum, Decimal]]:
    """Return all strata of a fleet, with percent of the devices that total 100.

    Strata without a share divide equally what the others leave; if all have one, the rest of the
    devices are `OTHER`. Without strata, returns none. Raises ValueError.
    """
    if not strata:
        return []
    names = [stratum.name for stratum in strata]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"--stratum {twice} is given twice")
    left = _WHOLE - sum((item.share for item in strata if item.share is not None), Decimal(0))
    open_strata = sum(stratum.share is None for stratum in strata)
    if left < 0 or (open_strata and not left):
        raise ValueError(
            f"the strata total {_WHOLE - left}%; they must not exceed 100%, and must leave devices"
            " for strata without a share"
        )
    if left and not open_strata:
        if OTHER in names:
            raise ValueError(f"--stratum {OTHER} must have no share, or the strata must total 100%")
        strata = (*strata, Stratum(name=OTHER))
    equal = left / max(1, open_strata)
    return [(item, equal if item.share is None else item.share) for item in strata]


def assign(
    device_ids: Sequence[str], strata: Sequence[tuple[Stratum, Decimal]], seed: int
) -> dict[str, Stratum]:
    """Return the stratum of each device; ids, strata and seed determine it, in any order of ids.

    Each stratum has its share of the devices, to within one device.
    """
    ranked = sorted(device_ids, key=lambda device_id: _rank(seed, device_id))
    found: dict[str, Stratum] = {}
    total, begin = Decimal(0), 0
    for stratum, percent in strata:
        total += percent
        end = int((len(ranked) * total / _WHOLE).to_integral_value(ROUND_HALF_UP))
        found |= dict.fromkeys(ranked[begin:end], stratum)
        begin = end
    return found


def _rank(seed: int, device_id: str) -> bytes:
    """Return the rank of a device. It does not depend on the rank for faults."""
    return hashlib.sha256(f"{seed}:stratum:{device_id}".encode()).digest()


def _is_share(text: str) -> bool:
    return text.endswith("%")
