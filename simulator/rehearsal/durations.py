"""Durations that differ between devices, as options write them: `10m`, `6m..14m`, `~10m`."""

import math
import re
from dataclasses import dataclass
from random import Random
from statistics import NormalDist

_UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_LENGTH = re.compile("".join(rf"(?:([0-9]+(?:\.[0-9]+)?){unit})?" for unit in _UNITS))
_STANDARD = NormalDist()
# The standard deviation of the logarithm. Half of the devices are within 0.71 to 1.4 medians, and
# one of forty needs more than 2.7 medians: a long tail, as of downloads over many networks.
_SIGMA = 0.5
# A virtual update of more than a year would outlast every rehearsal.
_MAX_SECONDS = 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class Durations:
    """A distribution of durations in seconds: evenly between two bounds, or log-normal."""

    shortest: float
    """The lower bound; the median of a log-normal distribution."""
    longest: float
    """The upper bound; the median of a log-normal distribution."""
    log_normal: bool = False

    @property
    def median(self) -> float:
        return (self.shortest + self.longest) / 2

    def draw_factor(self, random: Random) -> float:
        """Draw a duration and return it in units of the median. Draws once from `random`."""
        if self.log_normal:
            return math.exp(_SIGMA * _normal(random.random()))
        spread = (self.longest - self.shortest) / (2 * self.median)
        return 1 - spread + 2 * spread * random.random()

    def __str__(self) -> str:
        if self.log_normal:
            return f"~{_write(self.median)}"
        if self.shortest == self.longest:
            return _write(self.shortest)
        return f"{_write(self.shortest)}..{_write(self.longest)}"


def parse_length(text: str) -> float:
    """Return the seconds of "90s", "6m", "1h30m" or "1.5h". Raises ValueError."""
    found = _LENGTH.fullmatch(text.strip().lower())
    if found is None or not any(found.groups()):
        raise ValueError(f"{text!r} is not a length of time; write it like 90s, 6m, 1h30m or 2d")
    seconds = sum(
        float(number) * unit
        for number, unit in zip(found.groups(), _UNITS.values(), strict=True)
        if number
    )
    if seconds > _MAX_SECONDS:
        raise ValueError(f"{text!r} is too long; the limit is 366d")
    return seconds


def parse_durations(text: str) -> Durations:
    """Parse "10m", "6m..14m" (evenly distributed) or "~10m" (log-normal, the median).

    Raises ValueError.
    """
    if text.strip().startswith("~"):
        median = parse_length(text.strip()[1:])
        return _check(text, Durations(median, median, log_normal=True))
    shortest, dots, longest = text.partition("..")
    first = parse_length(shortest)
    return _check(text, Durations(first, parse_length(longest) if dots else first))


def _check(text: str, durations: Durations) -> Durations:
    if durations.longest < durations.shortest:
        raise ValueError(f"{text!r} ends before it begins; write the shorter time first")
    if durations.longest <= 0:
        raise ValueError(f"{text!r} must be longer than 0s")
    return durations


def _write(seconds: float) -> str:
    """Return seconds as `parse_length` reads them: 5400 is "1h30m"."""
    parts, left = [], round(seconds, 3)
    for unit, size in _UNITS.items():
        number = left if unit == "s" else left // size
        left -= number * size
        if number:
            parts.append(f"{number:.10g}{unit}")
    return "".join(parts) or "0s"


def _normal(share: float) -> float:
    """Return the value below which `share` of a standard normal distribution lies; 0..1."""
    return _STANDARD.inv_cdf(min(max(share, 1e-9), 1 - 1e-9))
