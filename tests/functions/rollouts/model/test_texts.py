"""Durations, numbers and times in messages read as people write them."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model import texts

_PLUS_TWO = timezone(timedelta(hours=2))
_SECONDS = {"s": 1, "min": 60, "h": 3600, "day": 86_400, "days": 86_400}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (40, "40 s"),
        (40.6, "41 s"),
        (60, "1 min"),
        (90, "1 min 30 s"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (86_400, "1 day"),
        (7 * 86_400, "7 days"),
        (90_061, "1 day 1 h 1 min 1 s"),
    ],
)
def test_a_duration_has_the_units_that_are_not_zero(seconds: float, text: str) -> None:
    assert texts.duration(timedelta(seconds=seconds)) == text


@given(st.timedeltas(timedelta(0), timedelta(days=10_000)))
def test_a_duration_adds_up_to_its_seconds(length: timedelta) -> None:
    parts = re.findall(r"(\d+) (\w+)", texts.duration(length))
    total = sum(int(number) * _SECONDS[unit] for number, unit in parts)
    assert abs(total - length.total_seconds()) <= 0.5
    sizes = [_SECONDS[unit] for _, unit in parts]
    assert sizes == sorted(sizes, reverse=True)
    assert ("day" in dict.fromkeys(unit for _, unit in parts)) is (total // 86_400 == 1)


@given(st.integers(0, 10**6))
def test_only_one_thing_is_singular(number: int) -> None:
    assert texts.count(number, "device") == f"{number} device{'' if number == 1 else 's'}"


@pytest.mark.parametrize(
    ("number", "present", "past"), [(0, "are", "were"), (1, "is", "was"), (2, "are", "were")]
)
def test_a_verb_agrees_with_its_number(number: int, present: str, past: str) -> None:
    assert (texts.to_be(number), texts.was(number)) == (present, past)


@pytest.mark.parametrize(
    ("name", "text", "first"),
    [
        ("canary", "wave canary", "Wave canary"),
        ("wave 2", "wave 2", "Wave 2"),
        ("Wave One", "Wave One", "Wave One"),
        ("waves", "wave waves", "Wave waves"),
    ],
)
def test_a_wave_is_called_so_once(name: str, text: str, first: str) -> None:
    assert (texts.wave(name), texts.wave_first(name)) == (text, first)


@pytest.mark.usefixtures("new_york")
def test_a_time_is_in_utc_whatever_the_zone_of_this_computer() -> None:
    noon = datetime(2026, 12, 1, 12, tzinfo=_PLUS_TWO)
    assert texts.utc_time(noon) == "2026-12-01T10:00:00Z"


@given(st.integers(0, 2**32).map(lambda second: datetime.fromtimestamp(second, _PLUS_TWO)))
def test_a_time_is_read_back_to_the_second(time: datetime) -> None:
    text = texts.utc_time(time)
    assert text.endswith("Z")
    assert datetime.fromisoformat(text) == time.astimezone(UTC).replace(microsecond=0)
