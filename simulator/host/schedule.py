"""Parse NCRONTAB schedules and find their next occurrence, on wall-clock times.

Six fields, `second minute hour day month day-of-week`; five mean second 0. Each field takes `*`,
numbers, ranges, lists and steps; months and days also take English names. `5/15` runs from 5 to
the field's end. Day of month *and* day of week must match, unlike in classic cron. Sunday is 0.
Source: Microsoft Learn, "Timer trigger for Azure Functions", section "NCRONTAB expressions".
A TimeSpan instead of the expression is refused.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

_ITEM = re.compile(r"(\*|[0-9a-z]+)(?:-([0-9a-z]+))?(?:/([0-9]+))?")
# 29 February falls on each day of the week within 40 years, even across 2100.
_MAX_DAYS = 41 * 366


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    minimum: int
    maximum: int
    words: Sequence[str] = ()
    """Full English names; the first one is `minimum`."""


_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_SECOND = _Field("second", 0, 59)
_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 6, _DAYS),
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The values that each field matches, in ascending order."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]

    def next_after(self, moment: datetime) -> datetime:
        """Return the first occurrence strictly after `moment`, with its `tzinfo`.

        Raises ValueError if none exists, as for 30 February.
        """
        earliest = moment.replace(microsecond=0) + timedelta(seconds=1)
        day, at = earliest.date(), earliest.time()
        for _ in range(_MAX_DAYS):
            found = self._time_from(at) if self._has_day(day) else None
            if found is not None:
                return datetime.combine(day, found, moment.tzinfo)
            day, at = day + timedelta(days=1), time.min
        raise ValueError("the schedule never occurs")

    def _has_day(self, day: date) -> bool:
        return (
            day.month in self.months
            and day.day in self.days
            and day.isoweekday() % 7 in self.weekdays
        )

    def _time_from(self, at: time) -> time | None:
        """Return the first matching time of day from `at` on."""
        hour, minute, second = at.hour, at.minute, at.second
        if hour in self.hours:
            if minute in self.minutes:
                later = _from(self.seconds, second)
                if later is not None:
                    return time(hour, minute, later)
            later = _from(self.minutes, minute + 1)
            if later is not None:
                return time(hour, later, self.seconds[0])
        later = _from(self.hours, hour + 1)
        return None if later is None else time(later, self.minutes[0], self.seconds[0])


def parse_schedule(expression: str) -> Schedule:
    """Parse five or six fields. Raises ValueError naming the field and its text."""
    texts = expression.lower().split()
    if len(texts) == len(_FIELDS):
        texts.insert(0, "0")
    if len(texts) != len(_FIELDS) + 1:
        raise ValueError(f"{expression!r} must have six fields, or five")
    schedule = Schedule(
        *(_values(field, text) for field, text in zip((_SECOND, *_FIELDS), texts, strict=True))
    )
    schedule.next_after(datetime(2000, 1, 1))  # noqa: DTZ001 - raises if it never occurs
    return schedule


def _from(values: tuple[int, ...], minimum: int) -> int | None:
    position = bisect_left(values, minimum)
    return values[position] if position < len(values) else None


def _values(field: _Field, text: str) -> tuple[int, ...]:
    found: set[int] = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if match is None or (match[1] == "*" and match[2]):
            raise ValueError(f"the field {field.name} cannot be {item!r}")
        first, last, step = match.groups()
        start = field.minimum if first == "*" else _number(field, first)
        open_end = field.maximum if first == "*" or step else start
        end = _number(field, last) if last else open_end
        if end < start or (step is not None and int(step) == 0):
            raise ValueError(f"the field {field.name} cannot be {item!r}")
        found.update(range(start, end + 1, int(step or 1)))
    return tuple(sorted(found))


def _number(field: _Field, text: str) -> int:
    if text.isdecimal():
        number = int(text)
        if field.minimum <= number <= field.maximum:
            return number
    elif text.isalpha():
        for position, word in enumerate(field.words):
            if text in {word.lower(), word[:3].lower()}:
                return field.minimum + position
    raise ValueError(
        f"the field {field.name} must be {field.minimum} to {field.maximum}, not {text!r}"
    )
