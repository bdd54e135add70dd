"""Which devices of a fleet misbehave, and how: a pure choice from a seed."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated

import typer
from typer.models import OptionInfo

from simulator.command_line import parsed

_WHOLE = Decimal(100)
_DECIMALS = 2


class Fault(StrEnum):
    """What a device does with an update."""

    NONE = "none"
    FAILING = "failing"
    """Reports a failure at the end of applying."""
    HANGING = "hanging"
    """Begins to download, and never says anything about it again."""
    OFFLINE = "offline"
    """Goes away once it has stood by, comes back, goes away again."""
    REVERTING = "reverting"
    """Completes, and one stage later is back at the version it had before."""


def share(text: str) -> Decimal:
    """Read "5%" or "0.25%": 0 to 100, two decimals at most. Raises ValueError."""
    try:
        value = Decimal(text.strip().removesuffix("%"))
    except InvalidOperation:
        value = Decimal(-1)
    within = value.is_finite() and 0 <= value <= _WHOLE
    if not within or not text.strip().endswith("%") or value != round(value, _DECIMALS):
        raise ValueError(f"{text!r} is no share: write 0% to 100%, with two decimals at most")
    return value


def _option(fault: str) -> OptionInfo:
    option: OptionInfo = typer.Option(
        help=f"Share of the devices that {fault}.",
        parser=parsed(share),
        metavar="<share>",
        show_default="0%",
    )
    return option


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Percent of the devices with each fault; a device has one fault at most."""

    fail: Annotated[Decimal, _option("report a failure at the end of applying")] = Decimal(0)
    hang: Annotated[Decimal, _option("stop for good while downloading")] = Decimal(0)
    offline: Annotated[Decimal, _option("go offline and come back")] = Decimal(0)
    revert: Annotated[
        Decimal, _option("complete, and some time later run the old version again")
    ] = Decimal(0)

    def __post_init__(self) -> None:
        """Raises ValueError if they come to more than all devices."""
        total = sum(share for _, share in self.in_order)
        if total > _WHOLE:
            raise ValueError(f"the shares come to {total}%, which is more than all devices")

    @property
    def in_order(self) -> tuple[tuple[Fault, Decimal], ...]:
        """The order in which choose_faults are given out."""
        return (
            (Fault.FAILING, self.fail),
            (Fault.HANGING, self.hang),
            (Fault.OFFLINE, self.offline),
            (Fault.REVERTING, self.revert),
        )


def choose_faults(device_ids: Iterable[str], shares: Shares, seed: int) -> dict[str, Fault]:
    """The fault of every device; the same ids, shares and seed give the same, in any order.

    The ids are ranked by SHA-256 of `seed:id`. The shares follow each other along that ranking,
    and each border is the running total rounded half up to whole devices. A fault's count is
    so less than one device off its exact share, and never one short of a whole number.
    """
    ranked = sorted(device_ids, key=lambda device_id: _rank(seed, device_id))
    chosen = dict.fromkeys(ranked, Fault.NONE)
    total, begin = Decimal(0), 0
    for fault, percent in shares.in_order:
        total += percent
        end = int((len(ranked) * total / _WHOLE).to_integral_value(ROUND_HALF_UP))
        chosen |= dict.fromkeys(ranked[begin:end], fault)
        begin = end
    return chosen


def _rank(seed: int, device_id: str) -> bytes:
    return hashlib.sha256(f"{seed}:{device_id}".encode()).digest()
