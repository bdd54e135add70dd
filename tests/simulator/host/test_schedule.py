"""NCRONTAB: examples from the documentation, and properties against a walk over every moment."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.host.schedule import parse_schedule


def next_after(expression: str, moment: str) -> str:
    found = parse_schedule(expression).next_after(datetime.fromisoformat(moment))
    return found.isoformat(sep=" ")


@pytest.mark.parametrize(
    ("expression", "moment", "expected"),
    [
        ("*/10 * * * * *", "2026-01-01 00:00:00", "2026-01-01 00:00:10"),
        ("*/10 * * * * *", "2026-01-01 00:00:09.999", "2026-01-01 00:00:10"),
        ("*/10 * * * * *", "2026-12-31 23:59:50", "2027-01-01 00:00:00"),
        ("0 */5 * * * *", "2026-01-01 00:04:59", "2026-01-01 00:05:00"),
        ("*/5 * * * *", "2026-01-01 00:05:00", "2026-01-01 00:10:00"),
        ("5/15 * * * * *", "2026-01-01 00:00:00", "2026-01-01 00:00:05"),
        ("5/15 * * * * *", "2026-01-01 00:00:50", "2026-01-01 00:01:05"),
        ("0 0 9-17 * * *", "2026-01-01 17:00:00", "2026-01-02 09:00:00"),
        ("0 30 9 * * 1-5", "2026-01-02 09:30:00", "2026-01-05 09:30:00"),
        ("0 30 9 * * Mon-Fri", "2026-01-02 09:30:00", "2026-01-05 09:30:00"),
        ("0 30 9 * Jan monday", "2026-01-31 00:00:00", "2027-01-04 09:30:00"),
        ("0 0 0 * * 0", "2026-01-01 00:00:00", "2026-01-04 00:00:00"),
        ("0 0 0 29 2 *", "2026-01-01 00:00:00", "2028-02-29 00:00:00"),
        ("0 0 0 29 2 1", "2026-01-01 00:00:00", "2044-02-29 00:00:00"),
        ("0,30 0 0 1,15 * *", "2026-01-01 00:00:00", "2026-01-01 00:00:30"),
    ],
)
def test_the_next_occurrence(expression: str, moment: str, expected: str) -> None:
    assert next_after(expression, moment) == expected


def test_day_of_month_and_day_of_week_must_both_match() -> None:
    friday_13th = parse_schedule("0 0 0 13 * 5")
    moment, found = datetime(2026, 1, 1, tzinfo=UTC), []
    for _ in range(4):
        moment = friday_13th.next_after(moment)
        found.append(moment.date().isoformat())
    assert found == ["2026-02-13", "2026-03-13", "2026-11-13", "2027-08-13"]


def test_the_time_zone_of_the_moment_is_kept() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert parse_schedule("* * * * * *").next_after(moment).tzinfo is UTC


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * * *",
        "* * * * * * *",
        "60 * * * * *",
        "* * 24 * * *",
        "* * * 0 * *",
        "* * * 32 * *",
        "* * * * 13 *",
        "* * * * * 7",
        "*/0 * * * * *",
        "30-10 * * * * *",
        "*-5 * * * * *",
        "1,,2 * * * * *",
        "-1 * * * * *",
        "x * * * * *",
        "* * * * foo *",
        "mon * * * * *",
        "* * * * * L",
        "0 0 0 30 2 *",
        "00:00:10",
        "² * * * * *",
    ],
)
def test_a_malformed_schedule_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"field|never occurs"):
        parse_schedule(expression)


def fields(least: int, most: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    """Generate the text of a field with the values that it matches."""
    number = st.integers(least, most)
    step = st.integers(1, most)

    def spread(start: int, end: int, by: int) -> frozenset[int]:
        return frozenset(n for n in range(least, most + 1) if start <= n <= end
                         and (n - start) % by == 0)  # fmt: skip

    item = st.one_of(
        st.just(("*", spread(least, most, 1))),
        number.map(lambda n: (str(n), frozenset({n}))),
        step.map(lambda by: (f"*/{by}", spread(least, most, by))),
        st.tuples(number, step).map(lambda t: (f"{t[0]}/{t[1]}", spread(t[0], most, t[1]))),
        st.tuples(number, number, step).map(
            lambda t: (f"{min(t[:2])}-{max(t[:2])}/{t[2]}", spread(min(t[:2]), max(t[:2]), t[2]))
        ),
    )
    return st.lists(item, min_size=1, max_size=3).map(
        lambda items: (
            ",".join(text for text, _ in items),
            frozenset().union(*(v for _, v in items)),
        )
    )


def walk(
    moment: datetime, step: timedelta, matches: Callable[[datetime], bool], limit: int
) -> datetime | None:
    for _ in range(limit):
        moment += step
        if matches(moment):
            return moment
    return None


moments = st.datetimes(datetime(2024, 1, 1), datetime(2036, 12, 31)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0)
)


@given(fields(0, 59), fields(0, 59), moments)
def test_the_next_second_is_the_first_that_a_walk_finds(
    second: tuple[str, frozenset[int]], minute: tuple[str, frozenset[int]], moment: datetime
) -> None:
    expected = walk(
        moment,
        timedelta(seconds=1),
        lambda at: at.second in second[1] and at.minute in minute[1],
        limit=2 * 3600,
    )
    assert parse_schedule(f"{second[0]} {minute[0]} * * * *").next_after(moment) == expected


@given(fields(0, 23), fields(1, 31), fields(1, 12), fields(0, 6), moments)
def test_the_next_hour_is_the_first_that_a_walk_finds(
    hour: tuple[str, frozenset[int]],
    day: tuple[str, frozenset[int]],
    month: tuple[str, frozenset[int]],
    weekday: tuple[str, frozenset[int]],
    moment: datetime,
) -> None:
    expected = walk(
        moment.replace(minute=0, second=0),
        timedelta(hours=1),
        lambda at: (
            at.hour in hour[1]
            and at.day in day[1]
            and at.month in month[1]
            and at.isoweekday() % 7 in weekday[1]
        ),
        limit=200 * 24,
    )
    if expected is not None:
        text = f"0 0 {hour[0]} {day[0]} {month[0]} {weekday[0]}"
        assert parse_schedule(text).next_after(moment) == expected
