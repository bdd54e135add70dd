"""Test the order of firmware versions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.version_order import is_lower

ASCENDING = [
    "0.9",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.0.1",
    "1.0.1",
    "1.2.9",
    "1.10",
    "v2.4.0",
    "2026.11.3",
]
EQUAL = ["2.4", "2.4.0", "v2.4", "V2.4.0.0", " 2.4.0 ", "2.4.0+build.7", "02.4"]


@pytest.mark.parametrize("index", range(len(ASCENDING)))
def test_versions_have_the_order_of_their_numbers(index: int) -> None:
    version = ASCENDING[index]
    assert all(is_lower(version, than=higher) for higher in ASCENDING[index + 1 :])
    assert not any(is_lower(version, than=other) for other in ASCENDING[: index + 1])


@pytest.mark.parametrize("version", EQUAL)
def test_spellings_of_one_version_are_not_lower_than_each_other(version: str) -> None:
    assert not any(is_lower(version, than=other) for other in EQUAL)


@pytest.mark.parametrize(
    "name",
    ["", "latest", "fw-2.4.0", "2.4.x", "2..4", "a1b2c3d", "2.4.0_1", "²", "1.0-", "factory"],
)
def test_a_name_without_an_order_is_never_lower(name: str) -> None:
    assert not is_lower(name, than="9.9.9")
    assert not is_lower("0.0.1", than=name)


@given(st.text(max_size=70), st.text(max_size=70))
def test_of_any_two_names_at_most_one_is_lower(one: str, other: str) -> None:
    assert not (is_lower(one, than=other) and is_lower(other, than=one))


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=5), st.integers(0, 4))
def test_a_version_with_a_higher_number_is_higher(numbers: list[int], index: int) -> None:
    higher = list(numbers)
    higher[min(index, len(numbers) - 1)] += 1
    assert is_lower(".".join(map(str, numbers)), than=".".join(map(str, higher)))
