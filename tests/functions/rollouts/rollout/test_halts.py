"""Times in which the hub or the window kept a rollout from starting devices."""

from dataclasses import replace
from datetime import datetime, time, timedelta

import pytest

from functions.rollouts.model.outage import Outage
from functions.rollouts.model.strategy import Strategy, Window
from functions.rollouts.rollout.halts import WINDOWS_LISTED, list_halts
from tests.functions.builders import NOON, make_rollout, make_wave

HOUR = timedelta(hours=1)
NIGHTS = Window(start=time(22), end=time(5), timezone="Europe/Berlin")


def test_windows_are_listed_from_the_start_of_the_rollout_to_its_end() -> None:
    rollout = replace(
        make_rollout(make_wave(1), strategy=Strategy(window=NIGHTS)),
        started_at=NOON,
        ended_at=NOON + 24 * HOUR,
    )
    found = [
        ((halt.since - NOON) / HOUR, halt.until and (halt.until - NOON) / HOUR)
        for halt in list_halts(rollout, NOON + 90 * HOUR)
    ]
    # Berlin is an hour ahead of UTC: open from 21 to 4.
    assert found == [(0, 9), (16, 33)]


def test_a_rollout_of_years_lists_the_latest_windows() -> None:
    rollout = replace(make_rollout(make_wave(1), strategy=Strategy(window=NIGHTS)), started_at=NOON)
    halts = list_halts(rollout, NOON + timedelta(days=1000))
    assert len(halts) == WINDOWS_LISTED.days


@pytest.mark.parametrize("started_at", [None, NOON + HOUR])
def test_before_its_start_a_rollout_has_no_closed_window(started_at: datetime | None) -> None:
    rollout = replace(
        make_rollout(make_wave(1), strategy=Strategy(window=NIGHTS)), started_at=started_at
    )
    assert list_halts(rollout, NOON) == []


def test_a_window_of_all_day_has_no_halt() -> None:
    always = Window(start=time(0), end=time(0), timezone="UTC")
    rollout = replace(make_rollout(make_wave(1), strategy=Strategy(window=always)), started_at=NOON)
    assert list_halts(rollout, NOON + 50 * HOUR) == []


def test_an_outage_after_the_end_is_left_out_and_all_are_in_order() -> None:
    outages = [
        Outage(code=code, message="", since=NOON + hours * HOUR)
        for code, hours in (("hubUnavailable", 2), ("ambientOutage", 1), ("dailyQuota", 9))
    ]
    rollout = replace(
        make_rollout(make_wave(1)),
        started_at=NOON,
        ended_at=NOON + 5 * HOUR,
        outages=tuple(outages),
    )
    codes = [halt.code for halt in list_halts(rollout, NOON + 10 * HOUR)]
    assert codes == ["ambientOutage", "hubUnavailable"]


@pytest.mark.parametrize(
    ("hours", "until"), [(0, None), (1, None), (2, NOON + 2 * HOUR), (3, NOON + 2 * HOUR)]
)
def test_an_outage_is_listed_from_its_beginning_and_lasts_until_its_end(
    hours: int, until: datetime | None
) -> None:
    outage = Outage(code="hubUnavailable", message="x", since=NOON, until=NOON + 2 * HOUR)
    (halt,) = list_halts(make_rollout(outages=(outage,)), NOON + hours * HOUR)
    assert (halt.code, halt.message, halt.since, halt.until) == ("hubUnavailable", "x", NOON, until)
    assert not list_halts(make_rollout(outages=(outage,)), NOON - HOUR)


def test_a_window_is_listed_from_the_moment_in_which_it_closes() -> None:
    rollout = replace(make_rollout(make_wave(1), strategy=Strategy(window=NIGHTS)), started_at=NOON)
    (halt,) = list_halts(rollout, NOON)
    assert halt.message == "The maintenance window is closed until 2026-11-23T21:00:00Z."
    closes = NOON + 16 * HOUR
    assert len(list_halts(rollout, closes - timedelta(seconds=1))) == 1
    assert [item.since for item in list_halts(rollout, closes)] == [NOON, closes]
