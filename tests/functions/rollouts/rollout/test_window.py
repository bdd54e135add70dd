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


def parse_utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def parse_local(text: str, zone: str = BERLIN, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def restrict_to(window: Window, *days: Day) -> Window:
    return replace(window, days=frozenset(days))


def make_window(start: str, end: str, *days: Day, zone: str = BERLIN) -> Window:
    return Window(
        start=time.fromisoformat(start),
        end=time.fromisoformat(end),
        timezone=zone,
        days=frozenset(days),
    )


def is_in_window(window: Window, now: datetime) -> bool:
    """Return whether the local time of `now` is inside the window of this day or the day before."""
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
    start, end = parse_local("2026-06-10T01:00"), parse_local("2026-06-10T05:00")
    assert not is_open(NIGHT, start - SMALLEST)
    assert is_open(NIGHT, start)
    assert is_open(NIGHT, end - SMALLEST)
    assert not is_open(NIGHT, end)


def test_the_next_opening_of_an_open_window_is_now() -> None:
    now = parse_local("2026-06-10T04:59:59.5")
    assert next_opening(NIGHT, now) == now


def test_a_window_that_just_closed_opens_on_the_next_day() -> None:
    assert next_opening(NIGHT, parse_local("2026-06-10T05:00")) == parse_local("2026-06-11T01:00")


def test_the_next_opening_is_in_utc() -> None:
    assert (
        next_opening(NIGHT, parse_local("2026-06-10T05:00")).isoformat()
        == "2026-06-10T23:00:00+00:00"
    )


def test_a_window_closes_at_its_end_and_a_closed_one_has_no_closing() -> None:
    assert closes_at(NIGHT, parse_local("2026-06-10T01:00")) == parse_local("2026-06-10T05:00")
    assert closes_at(NIGHT, parse_local("2026-06-10T05:00")) is None


def test_a_window_of_one_day_waits_for_that_day_of_the_week() -> None:
    sundays = restrict_to(NIGHT, Day.SUN)
    assert next_opening(sundays, parse_local("2026-06-14T05:00")) == parse_local("2026-06-21T01:00")


def test_the_day_of_the_week_is_that_of_the_local_time() -> None:
    early = make_window("00:30", "01:00", Day.MON)
    assert is_open(early, parse_utc("2026-06-14T22:30"))  # Sunday in UTC, Monday in Berlin


# -- over midnight


def test_a_window_over_midnight_belongs_to_the_day_it_starts_on() -> None:
    fridays = restrict_to(OVERNIGHT, Day.FRI)
    assert not is_open(fridays, parse_local("2026-06-12T05:00"))  # the end of Thursday's
    assert is_open(fridays, parse_local("2026-06-12T22:00"))
    assert is_open(fridays, parse_local("2026-06-13T05:59"))
    assert not is_open(fridays, parse_local("2026-06-13T06:00"))
    assert not is_open(fridays, parse_local("2026-06-13T22:00"))


def test_a_window_over_midnight_closes_on_the_next_day() -> None:
    assert closes_at(OVERNIGHT, parse_local("2026-06-12T23:00")) == parse_local("2026-06-13T06:00")


def test_a_window_that_ends_at_midnight_is_closed_on_the_next_day() -> None:
    evening = make_window("20:00", "00:00", Day.FRI)
    assert is_open(evening, parse_local("2026-06-13T00:00") - SMALLEST)
    assert closes_at(evening, parse_local("2026-06-12T20:00")) == parse_local("2026-06-13T00:00")


# -- whole days


def test_a_window_that_ends_when_it_starts_lasts_a_day() -> None:
    fridays = make_window("06:00", "06:00", Day.FRI)
    assert next_opening(fridays, parse_local("2026-06-12T05:59")) == parse_local("2026-06-12T06:00")
    assert closes_at(fridays, parse_local("2026-06-12T06:00")) == parse_local("2026-06-13T06:00")


def test_whole_days_in_sequence_are_one_opening() -> None:
    weekend = restrict_to(WHOLE_DAY, Day.SAT, Day.SUN)
    assert closes_at(weekend, parse_local("2026-06-13T12:00")) == parse_local("2026-06-15T00:00")


def test_six_whole_days_are_one_opening_of_six_days() -> None:
    weekdays = restrict_to(WHOLE_DAY, *(day for day in Day if day is not Day.SUN))
    assert closes_at(weekdays, parse_local("2026-06-15T00:00")) == parse_local("2026-06-21T00:00")


def test_a_window_of_all_day_on_all_days_never_closes() -> None:
    assert closes_at(WHOLE_DAY, parse_local("2026-06-13T12:00")) is None
    assert closes_at(restrict_to(WHOLE_DAY, *Day), parse_local("2026-06-13T12:00")) is None


def test_a_window_of_a_whole_day_lasts_23_or_25_hours_when_the_clock_is_changed() -> None:
    sundays = restrict_to(WHOLE_DAY, Day.SUN)
    for day, hours in (("2026-03-29", 23), ("2026-10-25", 25)):
        opening = next_opening(sundays, parse_local(day) - timedelta(days=1))
        closing = closes_at(sundays, opening)
        assert closing is not None
        assert closing - opening == timedelta(hours=hours)


# -- when an hour is skipped: in Berlin, 02:00 to 03:00 on 2026-03-29


def test_a_window_that_starts_in_the_gap_opens_at_the_first_moment_after_it() -> None:
    window = make_window("02:30", "04:00")
    after_gap = parse_utc("2026-03-29T01:00")
    assert next_opening(window, parse_utc("2026-03-28T12:00")) == after_gap
    assert not is_open(window, after_gap - SMALLEST)
    assert closes_at(window, after_gap) == parse_local("2026-03-29T04:00")


def test_a_window_that_ends_in_the_gap_closes_when_the_clock_is_changed() -> None:
    window = make_window("01:00", "02:30")
    assert closes_at(window, parse_local("2026-03-29T01:00")) == parse_utc("2026-03-29T01:00")


def test_a_gap_within_a_window_makes_it_shorter_but_does_not_close_it() -> None:
    opening = parse_local("2026-03-29T01:00")
    assert closes_at(NIGHT, opening) == opening + timedelta(hours=3)


def test_a_window_within_the_gap_does_not_open_on_that_day() -> None:
    window = make_window("02:15", "02:45")
    assert next_opening(window, parse_local("2026-03-28T02:45")) == parse_local("2026-03-30T02:15")


def test_a_weekly_window_within_the_gap_opens_a_week_later() -> None:
    window = make_window("02:00", "03:00", Day.SUN)
    assert next_opening(window, parse_local("2026-03-22T03:00")) == parse_local("2026-04-05T02:00")


def test_a_gap_of_half_an_hour_is_handled_exactly() -> None:
    window = make_window("02:10", "02:40", zone="Australia/Lord_Howe")
    opening = next_opening(window, parse_utc("2026-10-03T06:00"))
    assert opening == parse_utc("2026-10-03T15:30")
    assert closes_at(window, opening) == parse_utc("2026-10-03T15:40")


# -- when an hour comes twice: in Berlin, 02:00 to 03:00 on 2026-10-25


def test_a_window_that_starts_in_the_repeated_hour_opens_at_the_first_time() -> None:
    window = make_window("02:30", "04:00")
    assert next_opening(window, parse_local("2026-10-25T00:00")) == parse_local(
        "2026-10-25T02:30", fold=0
    )


def test_a_window_that_ends_in_the_repeated_hour_opens_a_second_time() -> None:
    window = make_window("01:00", "02:30")
    first_end, set_back = parse_utc("2026-10-25T00:30"), parse_utc("2026-10-25T01:00")
    assert closes_at(window, parse_local("2026-10-25T01:00")) == first_end
    assert next_opening(window, first_end) == set_back
    assert closes_at(window, set_back) == parse_local("2026-10-25T02:30", fold=1)


def test_a_window_within_the_repeated_hour_opens_twice() -> None:
    window = make_window("02:15", "02:45")
    first, second = (parse_local("2026-10-25T02:15", fold=fold) for fold in (0, 1))
    assert next_opening(window, parse_local("2026-10-25T00:00")) == first
    assert closes_at(window, first) == first + timedelta(minutes=30)
    assert next_opening(window, first + timedelta(minutes=30)) == second
    assert closes_at(window, second) == second + timedelta(minutes=30)


def test_a_repeated_hour_within_a_window_makes_it_longer() -> None:
    opening = parse_local("2026-10-25T01:00")
    assert closes_at(NIGHT, opening) == opening + timedelta(hours=5)


# -- always


times = st.builds(time, st.integers(0, 23), st.integers(0, 59))
near_the_change = st.builds(
    time, st.integers(0, 3), st.sampled_from([0, 1, 15, 29, 30, 31, 45, 59])
)
days = st.one_of(st.just(frozenset[Day]()), st.frozensets(st.sampled_from(Day), min_size=1))


@st.composite
def windows_and_days(draw: st.DrawFn) -> tuple[Window, datetime]:
    """Draw a window, and noon of the day before its clock is changed."""
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
def test_a_window_follows_the_local_time_in_every_minute_around_a_clock_change(
    zone: str, day: date, start: str, end: str
) -> None:
    window = make_window(start, end, list(Day)[day.weekday()], zone=zone)
    begin = datetime.combine(day, time(0), UTC) - timedelta(hours=24)
    for minute in range(3 * 24 * 60):
        now = begin + minute * ONE_MINUTE
        assert is_open(window, now) == is_in_window(window, now)


@given(windows_and_days(), st.integers(0, 60 * 24))
@settings(max_examples=60, deadline=None)
def test_the_next_opening_and_closing_are_the_first_open_and_closed_minutes(
    drawn: tuple[Window, datetime], minute: int
) -> None:
    window, begin = drawn
    now = begin + minute * ONE_MINUTE
    minutes = [now + ahead * ONE_MINUTE for ahead in range(36 * 60)]
    opening = next((moment for moment in minutes if is_in_window(window, moment)), None)
    closing = next((moment for moment in minutes if not is_in_window(window, moment)), None)
    if opening is not None:
        assert next_opening(window, now) == opening
    if opening == now and closing is not None:
        assert closes_at(window, now) == closing


@given(windows_and_days(), st.timedeltas(timedelta(0), timedelta(days=20)))
@settings(deadline=None)
def test_a_window_is_closed_until_its_next_opening(
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
def test_a_window_is_open_until_its_next_closing(
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
