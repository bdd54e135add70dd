from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.rollouts.model.strategy import Day, Window
from functions.rollouts.rollout.window import closes_at, is_open, next_opening

BERLIN = "Europe/Berlin"
NIGHT = Window(start=time(1), end=time(5), timezone=BERLIN)
OVERNIGHT = Window(start=time(22), end=time(6), timezone=BERLIN)
WHOLE_DAY = Window(start=time(0), end=time(0), timezone=BERLIN)
ONE_MINUTE = timedelta(minutes=1)
SMALLEST = timedelta(microseconds=1)

# The days on which clocks are changed; Kathmandu has none, but an offset of 5:45.
CHANGES = [
    (BERLIN, date(2026, 3, 29)),
    (BERLIN, date(2026, 10, 25)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Asia/Kathmandu", date(2026, 3, 29)),
    ("Africa/Cairo", date(2026, 4, 24)),  # midnight is skipped
    ("America/Havana", date(2026, 11, 1)),  # midnight comes twice
    ("Pacific/Apia", date(2011, 12, 30)),  # the whole day is skipped
]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text: str, zone: str = BERLIN, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def on(window: Window, *days: Day) -> Window:
    return replace(window, days=frozenset(days))


def between(start: str, end: str, *days: Day, zone: str = BERLIN) -> Window:
    return Window(
        start=time.fromisoformat(start),
        end=time.fromisoformat(end),
        timezone=zone,
        days=frozenset(days),
    )


def contains(window: Window, now: datetime) -> bool:
    """The rule by the wall clock alone: does one of the days' windows contain this local time?"""
    wall = now.astimezone(ZoneInfo(window.timezone)).replace(tzinfo=None)
    for begun in (wall.date(), wall.date() - timedelta(days=1)):
        start = datetime.combine(begun, window.start)
        end = datetime.combine(begun, window.end)
        if end <= start:
            end += timedelta(days=1)
        if start <= wall < end and (not window.days or list(Day)[begun.weekday()] in window.days):
            return True
    return False


# -- on ordinary days


def test_a_window_is_open_from_its_start_until_before_its_end() -> None:
    start, end = local("2026-06-10T01:00"), local("2026-06-10T05:00")
    assert not is_open(NIGHT, start - SMALLEST)
    assert is_open(NIGHT, start)
    assert is_open(NIGHT, end - SMALLEST)
    assert not is_open(NIGHT, end)


def test_an_open_window_opens_next_at_this_very_moment() -> None:
    now = local("2026-06-10T04:59:59.5")
    assert next_opening(NIGHT, now) == now


def test_a_window_that_just_closed_opens_on_the_next_day() -> None:
    assert next_opening(NIGHT, local("2026-06-10T05:00")) == local("2026-06-11T01:00")


def test_the_next_opening_is_in_utc() -> None:
    assert next_opening(NIGHT, local("2026-06-10T05:00")).isoformat() == "2026-06-10T23:00:00+00:00"


def test_a_window_closes_at_its_end_and_a_closed_one_does_not_close() -> None:
    assert closes_at(NIGHT, local("2026-06-10T01:00")) == local("2026-06-10T05:00")
    assert closes_at(NIGHT, local("2026-06-10T05:00")) is None


def test_a_window_of_one_day_waits_for_that_day_of_the_week() -> None:
    sundays = on(NIGHT, Day.SUN)
    assert next_opening(sundays, local("2026-06-14T05:00")) == local("2026-06-21T01:00")


def test_the_day_is_that_of_the_local_time_not_of_utc() -> None:
    early = between("00:30", "01:00", Day.MON)
    assert is_open(early, utc("2026-06-14T22:30"))  # Sunday in UTC, Monday in Berlin


# -- over midnight


def test_a_window_over_midnight_belongs_to_the_day_it_starts_on() -> None:
    fridays = on(OVERNIGHT, Day.FRI)
    assert not is_open(fridays, local("2026-06-12T05:00"))  # the end of Thursday's
    assert is_open(fridays, local("2026-06-12T22:00"))
    assert is_open(fridays, local("2026-06-13T05:59"))
    assert not is_open(fridays, local("2026-06-13T06:00"))
    assert not is_open(fridays, local("2026-06-13T22:00"))


def test_a_window_over_midnight_closes_on_the_next_day() -> None:
    assert closes_at(OVERNIGHT, local("2026-06-12T23:00")) == local("2026-06-13T06:00")


def test_a_window_that_ends_at_midnight_does_not_reach_into_the_next_day() -> None:
    evening = between("20:00", "00:00", Day.FRI)
    assert is_open(evening, local("2026-06-13T00:00") - SMALLEST)
    assert closes_at(evening, local("2026-06-12T20:00")) == local("2026-06-13T00:00")


# -- whole days


def test_a_window_that_ends_when_it_starts_lasts_a_day() -> None:
    fridays = between("06:00", "06:00", Day.FRI)
    assert next_opening(fridays, local("2026-06-12T05:59")) == local("2026-06-12T06:00")
    assert closes_at(fridays, local("2026-06-12T06:00")) == local("2026-06-13T06:00")


def test_days_that_follow_each_other_are_one_opening() -> None:
    weekend = on(WHOLE_DAY, Day.SAT, Day.SUN)
    assert closes_at(weekend, local("2026-06-13T12:00")) == local("2026-06-15T00:00")


def test_six_whole_days_are_one_opening_of_six_days() -> None:
    weekdays = on(WHOLE_DAY, *(day for day in Day if day is not Day.SUN))
    assert closes_at(weekdays, local("2026-06-15T00:00")) == local("2026-06-21T00:00")


def test_a_window_of_all_day_on_all_days_never_closes() -> None:
    assert closes_at(WHOLE_DAY, local("2026-06-13T12:00")) is None
    assert closes_at(on(WHOLE_DAY, *Day), local("2026-06-13T12:00")) is None


def test_a_whole_day_is_as_long_as_the_day() -> None:
    sundays = on(WHOLE_DAY, Day.SUN)
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25)):
        opening = next_opening(sundays, local(day) - timedelta(days=1))
        closing = closes_at(sundays, opening)
        assert closing is not None
        assert closing - opening == timedelta(hours=hours)


# -- when an hour is skipped: in Berlin, 02:00 to 03:00 on 2026-03-29


def test_a_window_that_starts_in_the_gap_opens_at_the_first_moment_after_it() -> None:
    window = between("02:30", "04:00")
    after_gap = utc("2026-03-29T01:00")
    assert next_opening(window, utc("2026-03-28T12:00")) == after_gap
    assert not is_open(window, after_gap - SMALLEST)
    assert closes_at(window, after_gap) == local("2026-03-29T04:00")


def test_a_window_that_ends_in_the_gap_closes_when_the_clock_is_changed() -> None:
    window = between("01:00", "02:30")
    assert closes_at(window, local("2026-03-29T01:00")) == utc("2026-03-29T01:00")


def test_a_gap_within_a_window_makes_it_shorter_but_does_not_close_it() -> None:
    opening = local("2026-03-29T01:00")
    assert closes_at(NIGHT, opening) == opening + timedelta(hours=3)


def test_a_window_within_the_gap_is_left_out_that_day() -> None:
    window = between("02:15", "02:45")
    assert next_opening(window, local("2026-03-28T02:45")) == local("2026-03-30T02:15")


def test_a_weekly_window_within_the_gap_opens_a_week_later() -> None:
    window = between("02:00", "03:00", Day.SUN)
    assert next_opening(window, local("2026-03-22T03:00")) == local("2026-04-05T02:00")


def test_a_gap_of_half_an_hour_is_met_exactly() -> None:
    window = between("02:10", "02:40", zone="Australia/Lord_Howe")
    opening = next_opening(window, utc("2026-10-03T06:00"))
    assert opening == utc("2026-10-03T15:30")
    assert closes_at(window, opening) == utc("2026-10-03T15:40")


# -- when an hour comes twice: in Berlin, 02:00 to 03:00 on 2026-10-25


def test_a_window_that_starts_in_the_repeated_hour_opens_at_the_first_time() -> None:
    window = between("02:30", "04:00")
    assert next_opening(window, local("2026-10-25T00:00")) == local("2026-10-25T02:30", fold=0)


def test_a_window_that_ends_in_the_repeated_hour_opens_once_more_when_the_clock_is_set_back() -> (
    None
):
    window = between("01:00", "02:30")
    first_end, set_back = utc("2026-10-25T00:30"), utc("2026-10-25T01:00")
    assert closes_at(window, local("2026-10-25T01:00")) == first_end
    assert next_opening(window, first_end) == set_back
    assert closes_at(window, set_back) == local("2026-10-25T02:30", fold=1)


def test_a_window_within_the_repeated_hour_opens_twice() -> None:
    window = between("02:15", "02:45")
    first, second = (local("2026-10-25T02:15", fold=fold) for fold in (0, 1))
    assert next_opening(window, local("2026-10-25T00:00")) == first
    assert closes_at(window, first) == first + timedelta(minutes=30)
    assert next_opening(window, first + timedelta(minutes=30)) == second
    assert closes_at(window, second) == second + timedelta(minutes=30)


def test_a_repeated_hour_within_a_window_makes_it_longer() -> None:
    opening = local("2026-10-25T01:00")
    assert closes_at(NIGHT, opening) == opening + timedelta(hours=5)


# -- always


times = st.builds(time, st.integers(0, 23), st.integers(0, 59))
near_the_change = st.builds(
    time, st.integers(0, 3), st.sampled_from([0, 1, 15, 29, 30, 31, 45, 59])
)
days = st.one_of(st.just(frozenset[Day]()), st.frozensets(st.sampled_from(Day), min_size=1))


@st.composite
def windows_and_days(draw: st.DrawFn) -> tuple[Window, datetime]:
    """A window, and the moment half a day before a day on which its clock is changed."""
    zone, day = draw(st.sampled_from(CHANGES))
    window = Window(
        start=draw(times | near_the_change),
        end=draw(times | near_the_change),
        timezone=zone,
        days=draw(days),
    )
    noon = datetime.combine(day, time(12), ZoneInfo(zone)).astimezone(UTC)
    return window, noon - timedelta(days=1)


@pytest.mark.parametrize(("zone", "day"), CHANGES)
@pytest.mark.parametrize("end", ["00:30", "02:15", "02:30", "03:00"])
@pytest.mark.parametrize("start", ["00:00", "02:00", "02:30", "23:00"])
def test_every_minute_around_a_change_is_judged_by_the_clock_on_the_wall(
    zone: str, day: date, start: str, end: str
) -> None:
    window = between(start, end, list(Day)[day.weekday()], zone=zone)
    begin = datetime.combine(day, time(0), UTC) - timedelta(hours=24)
    for minute in range(3 * 24 * 60):
        now = begin + minute * ONE_MINUTE
        assert is_open(window, now) == contains(window, now)


@given(windows_and_days(), st.integers(0, 60 * 24))
@settings(max_examples=60, deadline=None)
def test_the_next_opening_and_closing_are_the_first_minutes_that_are_open_and_closed(
    drawn: tuple[Window, datetime], minute: int
) -> None:
    window, begin = drawn
    now = begin + minute * ONE_MINUTE
    minutes = [now + ahead * ONE_MINUTE for ahead in range(36 * 60)]
    opening = next((moment for moment in minutes if contains(window, moment)), None)
    closing = next((moment for moment in minutes if not contains(window, moment)), None)
    if opening is not None:
        assert next_opening(window, now) == opening
    if opening == now and closing is not None:
        assert closes_at(window, now) == closing


@given(windows_and_days(), st.timedeltas(timedelta(0), timedelta(days=20)))
@settings(deadline=None)
def test_a_window_is_open_at_its_next_opening_and_not_a_moment_before(
    drawn: tuple[Window, datetime], ahead: timedelta
) -> None:
    window, begin = drawn
    now = begin - timedelta(days=10) + ahead
    opening = next_opening(window, now)
    assert now <= opening
    assert is_open(window, opening)
    assert opening == now or not is_open(window, opening - SMALLEST)


@given(windows_and_days(), st.timedeltas(timedelta(0), timedelta(days=20)))
@settings(deadline=None)
def test_a_window_is_closed_when_it_closes_and_open_until_then(
    drawn: tuple[Window, datetime], ahead: timedelta
) -> None:
    window, begin = drawn
    opening = next_opening(window, begin - timedelta(days=10) + ahead)
    closing = closes_at(window, opening)
    if closing is not None:
        assert opening < closing
        assert is_open(window, closing - SMALLEST)
        assert not is_open(window, closing)


@given(
    windows_and_days(),
    st.timedeltas(timedelta(0), timedelta(days=3)),
    st.timedeltas(timedelta(0), timedelta(days=3)),
)
@settings(deadline=None)
def test_later_moments_have_no_earlier_openings(
    drawn: tuple[Window, datetime], one: timedelta, other: timedelta
) -> None:
    window, begin = drawn
    earlier, later = sorted((one, other))
    assert next_opening(window, begin + earlier) <= next_opening(window, begin + later)
