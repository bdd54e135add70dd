"""Test when a delivery that failed is attempted again."""

from datetime import timedelta

import pytest

from functions.rollouts.model.webhook import FIRST_DELAY, MAX_DELAY, delay_after


@pytest.mark.parametrize(
    ("failures", "jitter", "factor"), [(1, 0, 1), (1, 0.5, 0.9), (1, 1, 0.8), (4, 0.5, 8 * 0.9)]
)
def test_a_delay_doubles_and_the_jitter_shortens_it(
    failures: int, jitter: float, factor: float
) -> None:
    assert delay_after(failures, jitter, None) == FIRST_DELAY * factor


@pytest.mark.parametrize("failures", [12, 100, 10_000])
def test_a_delay_has_an_upper_bound(failures: int) -> None:
    assert delay_after(failures, 0, None) == MAX_DELAY


def test_a_receiver_may_name_a_longer_delay_within_a_bound() -> None:
    assert delay_after(1, 0, timedelta(minutes=1)) == timedelta(minutes=1)
    assert delay_after(1, 0, timedelta(seconds=1)) == FIRST_DELAY
    assert delay_after(1, 0, timedelta(days=1)) == 2 * MAX_DELAY
