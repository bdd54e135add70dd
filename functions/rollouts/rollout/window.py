"""Maintenance windows: when devices may start, by the local time of a time zone.

A window is open at a moment if the local time of that moment lies in it. When the clock is changed,
this means:

- A window whose start is skipped opens at the first moment after the gap. One that lies in the
  gap altogether is left out that day.
- A time that comes twice (PEP 495) counts both times. A window that ends within the repeated
  hour closes at its end, opens again when the clock is set back, and closes at its end again.

Moments are aware and in UTC; the clock's changes are those of the IANA database.
"""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from functions.rollouts.model.strategy import Day, Window

_ONE_DAY = timedelta(days=1)
_DAY_SECONDS = 24 * 60 * 60
_DAYS = tuple(Day)
# A window on one day of the week, left out once because of a gap, opens within two weeks.
_DAYS_AHEAD = 16


def is_open(window: Window, now: datetime) -> bool:
    """Return whether devices may start now: from the window's start until before its end."""
    local = now.astimezone(ZoneInfo(window.timezone))
    time = local.time()
    if window.start < window.end:
        return window.start <= time < window.end and _begins_on(window, local)
    begun_today = time >= window.start and _begins_on(window, local)
    return begun_today or (time < window.end and _begins_on(window, local - _ONE_DAY))


def next_opening(window: Window, now: datetime) -> datetime:
    """Return `now` if the window is open, else the time at which it opens next."""
    if is_open(window, now):
        return now
    return next(moment for moment in _turning_points(window, now) if is_open(window, moment))


def closes_at(window: Window, now: datetime) -> datetime | None:
    """Return the first time from `now` on at which an open window is closed.

    Windows that follow each other without a break are one. None if the window is not open now,
    or if it never closes, being open all day on all days.
    """
    if not is_open(window, now):
        return None
    points = _turning_points(window, now)
    return next((moment for moment in points if not is_open(window, moment)), None)


def open_time(window: Window, begin: datetime, end: datetime) -> timedelta:
    """Return for how long the window is open between two times."""
    total, at = timedelta(), begin
    while at < end:
        if is_open(window, at):
            closes = min(closes_at(window, at) or end, end)
            total += closes - at
            at = closes
        else:
            at = next_opening(window, at)
    return total


def _begins_on(window: Window, local: datetime) -> bool:
    return not window.days or _DAYS[local.weekday()] in window.days


def _turning_points(window: Window, now: datetime) -> list[datetime]:
    """Return all times after `now` at which the window can open or close, in order."""
    zone = ZoneInfo(window.timezone)
    points = {*_starts_and_ends(window, zone, now), *_clock_changes(zone, now)}
    return sorted(point for point in points if point > now)


def _starts_and_ends(window: Window, zone: ZoneInfo, now: datetime) -> Iterator[datetime]:
    today = now.astimezone(zone).date()
    for ahead in range(_DAYS_AHEAD):
        for time in (window.start, window.end):
            for fold in (0, 1):
                local = datetime.combine(today + ahead * _ONE_DAY, time, zone)
                yield local.replace(fold=fold).astimezone(UTC)


def _clock_changes(zone: ZoneInfo, now: datetime) -> Iterator[datetime]:
    """Return the first times at which the zone has another offset from UTC, to the second.

    zoneinfo does not tell when a clock is changed, so each day whose ends differ is searched.
    No zone changes its clock twice in a day.
    """
    first = int(now.timestamp())
    for begin in range(first, first + _DAYS_AHEAD * _DAY_SECONDS, _DAY_SECONDS):
        before = _offset(zone, begin)
        if _offset(zone, begin + _DAY_SECONDS) != before:
            yield datetime.fromtimestamp(_end_of_offset(zone, before, begin), UTC)


def _offset(zone: ZoneInfo, second: int) -> timedelta | None:
    return datetime.fromtimestamp(second, zone).utcoffset()


def _end_of_offset(zone: ZoneInfo, offset: timedelta | None, begin: int) -> int:
    def is_past(second: int) -> bool:
        return _offset(zone, second) != offset

    return begin + bisect_left(range(begin, begin + _DAY_SECONDS), True, key=is_past)
