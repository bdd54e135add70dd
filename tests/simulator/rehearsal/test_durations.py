"""Durations are read as people write them, and drawn from the distribution that they name."""

from random import Random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.rehearsal.durations import Durations, parse_durations, parse_length


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("6m", 360),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("2d", 172_800),
        (" 10M ", 600),
        ("0s", 0),
        ("366d", 366 * 86_400),
    ],
)
def test_a_length_of_time_is_read(text: str, seconds: float) -> None:
    assert parse_length(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "10", "10 min", "-5s", "5s3m", "1e9s", "PT5M", "٣s"])
def test_what_is_no_length_of_time_is_rejected_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a length of time; write it like 90s, 6m, 1h30m"):
        parse_length(text)


def test_a_length_beyond_every_rehearsal_is_rejected() -> None:
    with pytest.raises(ValueError, match="the limit is 366d"):
        parse_length("367d")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m", Durations(600, 600)),
        ("6m..14m", Durations(360, 840)),
        ("0s..1s", Durations(0, 1)),
        ("~10m", Durations(600, 600, log_normal=True)),
    ],
)
def test_durations_are_read_and_written(text: str, expected: Durations) -> None:
    assert parse_durations(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("14m..6m", "ends before it begins"),
        ("0s", "must be longer than 0s"),
        ("~0s", "must be longer than 0s"),
        ("6m..", "is not a length of time"),
        ("..6m", "is not a length of time"),
        ("6m...7m", "is not a length of time"),
        ("~6m..7m", "is not a length of time"),
    ],
)
def test_impossible_durations_are_rejected(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_durations(text)


@given(shortest=st.integers(0, 1000), more=st.integers(0, 1000), seed=st.integers(0, 99))
def test_even_durations_stay_within_their_bounds(shortest: int, more: int, seed: int) -> None:
    durations = Durations(shortest, shortest + max(1, more))
    drawn = durations.draw_factor(Random(seed)) * durations.median  # noqa: S311
    assert durations.shortest - 1e-9 <= drawn <= durations.longest + 1e-9


def test_a_log_normal_duration_has_its_median_and_a_long_tail() -> None:
    random, durations = Random(7), parse_durations("~10m")  # noqa: S311
    drawn = sorted(durations.draw_factor(random) * durations.median for _ in range(4000))

    assert median(drawn) == pytest.approx(600, rel=0.05)
    assert drawn[1000] == pytest.approx(428, rel=0.05)  # a quarter: exp(-0.674 x 0.5) medians
    assert drawn[-40] > 1800
