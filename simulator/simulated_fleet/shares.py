"""Choose the devices of a fleet that have a fault, from a seed."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated

import typer
from typer.models import OptionInfo

from simulator.command_line import option_parser

_WHOLE = Decimal(100)
_DECIMALS = 2


OTHER_VERSION = "0.9.0"
"""What a device runs that completes on the wrong version."""


class Fault(StrEnum):
    """What goes wrong with every update of a device."""

    NONE = "none"
    """Nothing: the update completes."""
    FAILING = "failing"
    """Reports a failure at the end of applying."""
    HANGING = "hanging"
    """Starts to download and never reports anything more."""
    OFFLINE = "offline"
    """Disconnects once it has reported standBy, reconnects, disconnects again."""
    REVERTING = "reverting"
    """Completes, and one stage later runs the old version again."""
    WRONG_VERSION = "wrongVersion"
    """Completes, and runs `OTHER_VERSION`."""


def share(text: str) -> Decimal:
    """Parse "5%" or "0.25%": 0 to 100, at most two decimals. Raises ValueError."""
    try:
        value = Decimal(text.strip().removesuffix("%"))
    except InvalidOperation:
        value = Decimal(-1)
    within = value.is_finite() and 0 <= value <= _WHOLE
    if not within or not text.strip().endswith("%") or value != round(value, _DECIMALS):
        raise ValueError(f"{text!r} is not a share; expected 0% to 100%, with at most two decimals")
    return value


def _option(fault: str) -> OptionInfo:
    option: OptionInfo = typer.Option(
        help=f"Share of the devices that {fault}.",
        parser=option_parser(share),
        metavar="<share>",
        show_default="0%",
    )
    return option


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """The share of the devices with each fault, in percent; a device has at most one fault."""

    fail: Annotated[Decimal, _option("report a failure at the end of applying")] = Decimal(0)
    hang: Annotated[Decimal, _option("stop while downloading")] = Decimal(0)
    offline: Annotated[Decimal, _option("go offline and come back")] = Decimal(0)
    revert: Annotated[
        Decimal, _option("complete, and some time later run the old version again")
    ] = Decimal(0)
    wrong_version: Annotated[Decimal, _option(f"complete, and report version {OTHER_VERSION}")] = (
        Decimal(0)
    )

    def __post_init__(self) -> None:
        """Check that the shares total at most 100%. Raises ValueError."""
        total = sum(share for _, share in self.in_order)
        if total > _WHOLE:
            raise ValueError(f"the shares total {total}%; they must not exceed 100%")

    @property
    def in_order(self) -> tuple[tuple[Fault, Decimal], ...]:
        """The faults with their shares, in the order in which they are assigned."""
        return (
            (Fault.FAILING, self.fail),
            (Fault.HANGING, self.hang),
            (Fault.OFFLINE, self.offline),
            (Fault.REVERTING, self.revert),
            (Fault.WRONG_VERSION, self.wrong_version),
        )


def choose_faults(device_ids: Iterable[str], shares: Shares, seed: int) -> dict[str, Fault]:
    """Return the fault of every device; ids, shares and seed determine it, in any order of ids.

    The ids are ranked by SHA-256 of `seed:id`. The shares follow each other along that ranking, and
    each boundary is the running total rounded half up to whole devices. The count of a fault
    therefore differs from its exact share by less than one device, and equals it if that is a whole
    number.
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
