"""The start clock counts the time in which devices could start, and the deadline uses it."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.rollouts.model.freeze import Freeze
from functions.rollouts.model.outage import Outage
from functions.rollouts.model.rollout import RolloutStatus, StartClock
from functions.rollouts.model.strategy import Day, Strategy, Window
from functions.rollouts.rollout import start_clock, window
from tests.functions.builders import NOON, at, make_rollout

NIGHT = Window(start=time(1), end=time(5), timezone="UTC")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def test_a_running_rollout_without_a_window_counts_all_time_since_its_start() -> None:
    assert start_clock.advance(make_rollout(), at(90)) == StartClock(
        counted=timedelta(seconds=90), at=at(90)
    )


def test_it_goes_on_from_where_it_was_stored() -> None:
    rollout = make_rollout(start_clock=StartClock(counted=HOUR, at=at(30)))
    assert start_clock.advance(rollout, at(90)).counted == HOUR + timedelta(seconds=60)


def test_a_paused_rollout_counts_nothing_and_remembers_the_time() -> None:
    rollout = make_rollout(
        status=RolloutStatus.PAUSED, start_clock=StartClock(counted=HOUR, at=at(30))
    )
    assert start_clock.advance(rollout, at(90)) == StartClock(counted=HOUR, at=at(90))


def test_a_clock_that_goes_back_changes_nothing() -> None:
    rollout = make_rollout(start_clock=StartClock(counted=HOUR, at=at(30)))
    assert start_clock.advance(rollout, at(29)) == rollout.start_clock


def test_a_rollout_that_has_not_started_counts_nothing() -> None:
    rollout = make_rollout(status=RolloutStatus.SCHEDULED, started_at=None)
    assert start_clock.advance(rollout, at(90)) == StartClock()


def test_only_time_inside_the_window_counts() -> None:
    rollout = make_rollout(strategy=Strategy(window=NIGHT))
    assert start_clock.advance(rollout, NOON + 3 * DAY).counted == 12 * HOUR


def test_a_cancelled_rollout_counts_all_time() -> None:
    """Its devices in doubt must come to an end."""
    rollout = make_rollout(status=RolloutStatus.CANCELLED, strategy=Strategy(window=NIGHT))
    assert start_clock.advance(rollout, at(90)).counted == timedelta(seconds=90)


@pytest.mark.parametrize(
    ("begin", "end", "hours"),
    [
        (datetime(2026, 3, 28, 22, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC), 3),
        (datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 22, tzinfo=UTC), 5),
        (datetime(2026, 6, 1, 0, tzinfo=UTC), datetime(2026, 6, 2, 0, tzinfo=UTC), 4),
        (datetime(2026, 6, 2, 0, tzinfo=UTC), datetime(2026, 6, 1, 0, tzinfo=UTC), 0),
    ],
)
def test_a_change_of_the_clock_makes_a_window_shorter_or_longer(
    begin: datetime, end: datetime, hours: int
) -> None:
    berlin = Window(start=time(1), end=time(5), timezone="Europe/Berlin")
    assert window.open_time(berlin, begin, end) == hours * HOUR


windows = st.builds(
    Window,
    start=st.builds(time, st.integers(0, 23), st.sampled_from([0, 30])),
    end=st.builds(time, st.integers(0, 23), st.sampled_from([0, 30])),
    timezone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]),
    days=st.frozensets(st.sampled_from(Day)),
)


@given(windows, st.integers(0, 400), st.integers(0, 10 * 48), st.integers(0, 10 * 48))
@settings(max_examples=40, deadline=None)
def test_open_time_is_the_sum_of_its_parts_and_of_open_half_hours(
    limits: Window, day: int, first: int, second: int
) -> None:
    half = timedelta(minutes=30)
    begin = datetime(2026, 1, 1, tzinfo=UTC) + day * DAY
    middle, end = begin + first * half, begin + (first + second) * half
    total = window.open_time(limits, begin, end)
    assert total == window.open_time(limits, begin, middle) + window.open_time(limits, middle, end)
    is_open = [window.is_open(limits, begin + n * half) for n in range(first + second)]
    assert total == sum(is_open) * half


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ({}, 60),
        ({"outages": (Outage(code="hubUnavailable", message="", since=at(0)),)}, 0),
        ({"outages": (Outage(code="hubUnavailable", message="", since=at(0), until=at(1)),)}, 60),
        ({"freeze": Freeze(revision=1, reason="", by="ada", since=at(0))}, 0),
        ({"freeze": Freeze(revision=1, reason="", by="ada", since=at(0), until=at(20))}, 40),
    ],
)
def test_outages_and_freezes_of_all_devices_stop_the_clock(
    values: dict[str, Any], seconds: float
) -> None:
    clock = start_clock.advance(make_rollout(**values), at(60))
    assert (clock.counted, clock.at) == (timedelta(seconds=seconds), at(60))
