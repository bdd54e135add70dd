"""Test how often a rollout is searched for failures, and what that costs."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.device.attention import (
    DEVICES_PER_SEARCH,
    MIN_SEARCH_INTERVAL,
    search_interval,
)

TICK = timedelta(seconds=10)


def test_a_search_falls_into_every_second_tick() -> None:
    assert TICK < MIN_SEARCH_INTERVAL <= 2 * TICK


def test_a_rollout_is_searched_often_while_its_devices_pay_for_it() -> None:
    day = timedelta(days=1)
    assert search_interval(19, 100, day) == MIN_SEARCH_INTERVAL
    assert search_interval(20, 100, day) == day / 4
    assert search_interval(20, 100, timedelta(seconds=8)) == MIN_SEARCH_INTERVAL


@given(devices=st.integers(1, 20_000), hours=st.floats(0.1, 200))
def test_searches_after_the_last_start_are_few(devices: int, hours: float) -> None:
    """Count at most one search for five devices, and a few more for each doubling of the time."""
    elapsed, count = timedelta(), 0
    while elapsed < timedelta(hours=hours):
        elapsed += search_interval(count, devices, elapsed)
        count += 1
    assert count <= devices / DEVICES_PER_SEARCH + 50
