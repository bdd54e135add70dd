"""Choose round numbers for axes, and write durations for people."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import timedelta
from itertools import count, takewhile
from math import floor, log10

from functions.rollouts.model import texts

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
# Intervals that people count time in, up to a day.
_TIME_STEPS: Sequence[float] = (
    *(1, 2, 5, 10, 15, 30),
    *(_MINUTE * number for number in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * number for number in (1, 2, 3, 6, 12)),
)
_ROUND = (1, 2, 5, 10)


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: `45 s`, `2 h`, `2 h 5 min`, `3 days 4 h`."""
    whole = round(seconds)
    unit = _HOUR if whole >= _DAY else _MINUTE if whole >= _HOUR else 1
    return texts.duration(timedelta(seconds=whole - whole % unit))


def choose_count_ticks(total: int, max_ticks: int) -> list[int]:
    """Return round whole numbers from 0 to `total`, evenly spaced; `max_ticks` is 2 or more."""
    step = max(1, _round_up(total / (max_ticks - 1)))
    return [int(tick) for tick in _ticks(total, step)]


def choose_time_ticks(seconds: float, max_ticks: int) -> list[float]:
    """Return times from 0 to `seconds`, evenly spaced by an interval that people count in."""
    min_step = seconds / (max_ticks - 1)
    index = bisect_left(_TIME_STEPS, min_step)
    days = _DAY * max(1, _round_up(min_step / _DAY))
    return _ticks(seconds, _TIME_STEPS[index] if index < len(_TIME_STEPS) else days)


def _round_up(number: float) -> int:
    """Return the smallest of 1, 2, 5, 10, 20, 50... that is not below `number`."""
    if number <= 1:
        return 1
    power = int(10 ** floor(log10(number)))
    return next(step * power for step in _ROUND if step * power >= number)


def _ticks(end: float, step: float) -> list[float]:
    return list(takewhile(lambda tick: tick <= end, (number * step for number in count())))
