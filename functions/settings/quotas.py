"""Read the hub's tier, and the share of its quotas that rollouts may use."""

import math
from collections.abc import Mapping

from functions.errors import SettingsError
from functions.rollouts.model.quotas import Quotas, Tier, quotas
from functions.settings.names import DAILY_SHARE, SCALE, SHARE, TIER, UNITS

# The share of the hub's quotas for rollouts; the rest is for the customer's own use of the hub.
DEFAULT_SHARE_PERCENT = 80.0
# The share of the hub's messages of a day for rollouts. Once they are used up, the hub refuses the
# customer's devices, too, so this share is smaller.
DEFAULT_DAILY_SHARE_PERCENT = 30.0


def read_quotas(environment: Mapping[str, str]) -> Quotas:
    tier = environment.get(TIER) or Tier.S1
    if tier not in set(Tier):
        raise SettingsError(f"{TIER} must be one of {', '.join(Tier)}, not {tier[:20]!r}")
    units = _read_number(environment, UNITS, default=1, minimum=1, maximum=200)
    if units != int(units):
        raise SettingsError(f"{UNITS} must be a whole number")
    if tier == Tier.F1 and units > 1:
        raise SettingsError(f"{UNITS} must be 1 with {TIER} F1, which has one unit")
    percent = _read_number(
        environment, SHARE, default=DEFAULT_SHARE_PERCENT, minimum=1, maximum=100
    )
    daily_percent = _read_number(
        environment, DAILY_SHARE, default=DEFAULT_DAILY_SHARE_PERCENT, minimum=1, maximum=100
    )
    # For the local hub, which can run its quotas faster (--throttle-scale).
    scale = _read_number(environment, SCALE, default=1, minimum=0.001, maximum=100_000)
    return quotas(Tier(tier), int(units), percent / 100, scale, daily_percent / 100)


def _read_number(
    environment: Mapping[str, str], name: str, *, default: float, minimum: float, maximum: float
) -> float:
    text = (environment.get(name) or "").strip().removesuffix("%")
    try:
        value = float(text) if text else default
    except ValueError:
        value = math.nan  # compares as out of range
    if not minimum <= value <= maximum:
        raise SettingsError(f"{name} must be a number from {minimum:g} to {maximum:g}")
    return value
