"""Sets of devices inside a block behave as sets of their indexes."""

from hypothesis import example, given
from hypothesis import strategies as st

from functions.rollouts.model.device_set import NO_DEVICES, DeviceSet

indexes = st.sets(st.integers(0, 99))


@given(indexes)
def test_a_set_is_iterated_in_ascending_order(some: set[int]) -> None:
    found = DeviceSet.of(some)
    assert list(found) == sorted(some)
    assert (len(found), bool(found)) == (len(some), bool(some))
    assert all((index in found) is (index in some) for index in range(100))


@given(indexes, indexes)
def test_sets_join_meet_and_differ(one: set[int], other: set[int]) -> None:
    first, second = DeviceSet.of(one), DeviceSet.of(other)
    assert set(first | second) == one | other
    assert set(first & second) == one & other
    assert set(first - second) == one - other
    assert (first == second) is (one == other)


@given(indexes, st.integers(0, 101))
@example({0, 1}, 1)
@example({0, 1}, 2)
@example({0, 1}, 3)
def test_the_first_indexes_of_a_set(some: set[int], count: int) -> None:
    assert list(DeviceSet.of(some).first(count)) == sorted(some)[:count]


@given(st.integers(0, 100), st.integers(0, 100))
def test_a_set_between_two_indexes(first: int, end: int) -> None:
    assert list(DeviceSet.between(first, end)) == list(range(first, end))


def test_no_devices_are_the_empty_set() -> None:
    assert not NO_DEVICES
    assert list(NO_DEVICES) == []
