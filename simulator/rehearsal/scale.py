"""Round numbers for axes, and durations in words."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import count, takewhile
from math import floor, log10

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_UNITS = ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (1, "s"))
# Steps that people count time in, up to a day.
_TIME_STEPS: Sequence[float] = (
    *(1, 2, 5, 10, 15, 30),
    *(_MINUTE * number for number in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * number for number in (1, 2, 3, 6, 12)),
)
_ROUND = (1, 2, 5, 10)


def duration(seconds: float) -> str:
    """In the two largest units that it has: `45 s`, `2 h`, `2 h 5 min`, `3 d 4 h`."""
    left = round(seconds)
    parts: list[tuple[int, str]] = []
    for size, unit in _UNITS:
        number, left = divmod(left, size)
        parts.append((number, unit))
    first = next((place for place, (number, _) in enumerate(parts) if number), len(parts) - 1)
    shown = [f"{number} {unit}" for number, unit in parts[first : first + 2] if number]
    return " ".join(shown) or "0 s"


def count_ticks(total: int, at_most: int) -> list[int]:
    """Whole round numbers from 0 to `total`, evenly apart, `at_most` (2 or more) of them."""
    return [int(tick) for tick in _ticks(total, max(1, _round_up(total / (at_most - 1))))]


def time_ticks(seconds: float, at_most: int) -> list[float]:
    """Moments from 0 to `seconds`, evenly apart in units that people count time in."""
    least = seconds / (at_most - 1)
    place = bisect_left(_TIME_STEPS, least)
    days = _DAY * max(1, _round_up(least / _DAY))
    return _ticks(seconds, _TIME_STEPS[place] if place < len(_TIME_STEPS) else days)


def _round_up(least: float) -> int:
    """The least of 1, 2, 5, 10, 20, 50... that is not below `least`."""
    if least <= 1:
        return 1
    power = int(10 ** floor(log10(least)))
    return next(step * power for step in _ROUND if step * power >= least)


def _ticks(end: float, step: float) -> list[float]:
    return list(takewhile(lambda tick: tick <= end, (number * step for number in count())))
