from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.device.backoff import delay
from functions.rollouts.model.strategy import Retry

RETRY = Retry(initial_delay=timedelta(seconds=30), max_delay=timedelta(minutes=30))


def test_the_delay_doubles_up_to_the_longest() -> None:
    seconds = [delay(RETRY, number, jitter=1).total_seconds() for number in range(1, 10)]
    assert seconds == [30, 60, 120, 240, 480, 960, 1800, 1800, 1800]


def test_jitter_takes_away_up_to_half() -> None:
    assert delay(RETRY, 3, jitter=0.5) == timedelta(seconds=90)
    assert delay(RETRY, 3, jitter=0) == timedelta(seconds=60)


@given(number=st.integers(1, 10**9), jitter=st.floats(0, 1))
def test_no_delay_is_over_the_longest_or_under_half_of_the_first(
    number: int, jitter: float
) -> None:
    assert RETRY.initial_delay / 2 <= delay(RETRY, number, jitter) <= RETRY.max_delay
