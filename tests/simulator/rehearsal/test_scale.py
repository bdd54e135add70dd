"""Axis ticks are round, and durations are written as people write them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.rehearsal.scale import choose_count_ticks, choose_time_ticks, duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3601, "1 h"),
        (7500, "2 h 5 min"),
        (86_400, "1 day"),
        (3 * 86_400 + 4 * 3600 + 59, "3 days 4 h"),
    ],
)
def test_a_duration_is_written_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@given(total=st.integers(1, 10_000_000), max_ticks=st.integers(2, 12))
def test_ticks_of_counts_are_whole_even_and_few(total: int, max_ticks: int) -> None:
    ticks = choose_count_ticks(total, max_ticks)

    assert ticks[0] == 0
    assert 1 <= len(ticks) <= max_ticks
    assert ticks[-1] <= total
    assert len({after - before for before, after in pairwise(ticks)}) <= 1


@given(seconds=st.floats(0.5, 1e8), max_ticks=st.integers(2, 12))
def test_ticks_of_time_are_even_and_few(seconds: float, max_ticks: int) -> None:
    ticks = choose_time_ticks(seconds, max_ticks)

    assert ticks[0] == 0
    assert 1 <= len(ticks) <= max_ticks
    assert ticks[-1] <= seconds
    assert len({after - before for before, after in pairwise(ticks)}) <= 1


@pytest.mark.parametrize(
    ("seconds", "step"), [(1, 1), (45, 10), (3600, 600), (86_400, 10_800), (26 * 86_400, 432_000)]
)
def test_time_ticks_are_in_units_that_people_count_in(seconds: float, step: float) -> None:
    assert choose_time_ticks(seconds, 9)[1] == step
