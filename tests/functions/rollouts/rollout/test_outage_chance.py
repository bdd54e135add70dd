"""Check how often chance is taken for an outage, and an outage for chance."""

from math import comb, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.measurements import Measurements
from functions.rollouts.rollout.outage_chance import (
    FIRST_INVOKED,
    MAX_INVOKED,
    Control,
    chance,
    expect,
    expected_of,
    is_outage,
    is_outage_over,
)
from tests.functions.builders import make_rollout


def tail(size: int, least: int, rate: float) -> float:
    """Return the probability of at least `least` of `size`, each with probability `rate`."""
    terms = (comb(size, n) * rate**n * (1 - rate) ** (size - n) for n in range(least, size + 1))
    return float(sum(terms))


def binomial(size: int, exactly: int, rate: float) -> float:
    return comb(size, exactly) * rate**exactly * (1 - rate) ** (size - exactly)


def least_offline(size: int, *invoked: tuple[int, int]) -> int:
    """Return how many offline devices show an outage, after these counts of invoked devices."""
    expected = [expect(*counts) for counts in invoked]
    found = (n for n in range(size + 1) if is_outage(Control(None, size, size - n), expected, 1))
    return next(found, size + 1)


@given(st.integers(1, 100), st.integers(0, 200), st.integers(0, 200))
def test_a_chance_is_the_tail_of_a_distribution(size: int, connected: int, offline: int) -> None:
    expected = expect(connected + offline, connected)
    tails = [chance(size, least, expected) for least in range(size + 2)]
    assert isclose(tails[0], 1, rel_tol=1e-9)
    assert tails == sorted(tails, reverse=True)
    assert tails[-1] == 0


def test_a_chance_is_the_binomial_one_once_the_share_is_known() -> None:
    known = expect(10_000_000, 9_000_000)
    assert isclose(chance(100, 20, known), tail(100, 20, 0.1), rel_tol=1e-3)


@pytest.mark.parametrize("usual", [0.5, 0.7, 0.9, 0.95, 0.98])
@pytest.mark.parametrize("size", [5, 33, 100])
def test_without_an_outage_one_comparison_of_a_hundred_is_wrong_at_most(
    size: int, usual: float
) -> None:
    """What is expected was itself measured, of the first 40 devices and of 200."""
    few, others = FIRST_INVOKED, MAX_INVOKED - FIRST_INVOKED
    wrong = 0.0
    for first in range(few + 1):
        if (first_chance := binomial(few, first, usual)) < 1e-4:
            continue
        for later in range(others + 1):
            if (later_chance := binomial(others, later, usual)) < 1e-4:
                continue
            least = least_offline(size, (few, first), (MAX_INVOKED, first + later))
            wrong += first_chance * later_chance * tail(size, least, 1 - usual)
    assert wrong <= 0.01


@pytest.mark.parametrize("size", [5, 100])
@pytest.mark.parametrize("invoked", [(1, 1), (2, 2), (40, 38), (200, 140)])
def test_a_group_whose_devices_are_all_offline_shows_an_outage(
    size: int, invoked: tuple[int, int]
) -> None:
    expected = [expect(*invoked)] * 2
    assert is_outage(Control(None, size, 0), expected, 1)
    assert not is_outage_over(Control(None, size, 0), expected, 1)
    assert is_outage_over(Control(None, size, size), expected, 1)


def test_nine_devices_show_an_outage_of_a_fleet_of_which_half_sleeps() -> None:
    assert [least_offline(size, (40, 20), (200, 100)) for size in (8, 9)] == [9, 9]


@pytest.mark.parametrize(("dark", "found"), [(0.25, 0.999), (0.2, 0.99), (0.1, 0.48)])
def test_how_often_an_outage_of_a_part_is_found_without_strata(dark: float, found: float) -> None:
    least = least_offline(100, (40, 38), (200, 190))
    assert tail(100, least, dark + 0.05 * (1 - dark)) >= found


def test_devices_invoked_when_an_outage_had_begun_do_not_hide_it() -> None:
    """Of the first 40 one was offline; of the next 100, invoked in the outage, 28 were."""
    assert least_offline(100, (140, 111), (140, 111)) > 33
    assert least_offline(100, (40, 39), (140, 111)) <= 20


def test_a_stratum_is_judged_by_its_own_devices_and_all_by_all() -> None:
    measured = Measurements(invoked=((200, 190), (200, 100)), first_invoked=((40, 39), (40, 20)))
    rollout = make_rollout(measured=measured)
    assert expected_of(rollout, None) == (expect(40, 39), expect(200, 190))
    assert expected_of(rollout, 0) == (expect(40, 39), expect(200, 190))
    assert expected_of(rollout, 1) == (expect(40, 20), expect(200, 100))
    assert expected_of(rollout, 2) == (expect(0, 0), expect(0, 0))
    assert expected_of(rollout, 1, of_all=True) == (expect(80, 59), expect(400, 290))
