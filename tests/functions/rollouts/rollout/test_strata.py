"""Test how devices are divided into strata."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.strategy import Strategy
from functions.rollouts.model.target import TargetDevice
from functions.rollouts.rollout.strata import MAX_STRATA, NO_STRATA, NO_VALUE, OTHER, find_strata

BY_MODEL = Strategy(stratify_by=("tags.model",))
values = st.sampled_from([*(f"m{n}" for n in range(MAX_STRATA + 5)), "", OTHER, NO_VALUE])


def of(*values: str) -> list[TargetDevice]:
    return [TargetDevice(f"d-{number}", value) for number, value in enumerate(values)]


def test_without_stratify_by_there_are_no_strata() -> None:
    assert find_strata(Strategy(), of("a", "b")) == NO_STRATA


def test_strata_are_named_by_their_values_most_devices_first() -> None:
    found = find_strata(BY_MODEL, of("b", "a", "c", "c"))
    assert found.names == ("c", "a", "b")
    assert found.index_by_device == {"d-0": 2, "d-1": 1, "d-2": 0, "d-3": 0}


def test_devices_without_a_value_have_a_stratum() -> None:
    assert find_strata(BY_MODEL, of("a", "", "a")).names == ("a", NO_VALUE)


def test_the_rarest_values_share_a_stratum() -> None:
    common = [f"m{n:02}" for n in range(MAX_STRATA)]
    found = find_strata(BY_MODEL, of(*common, *common, "x", "y", "y"))
    assert found.names == (*common, OTHER)
    assert [found.index_by_device[f"d-{100 + n}"] for n in range(3)] == [MAX_STRATA] * 3


def test_exactly_as_many_values_as_strata_need_no_other_stratum() -> None:
    assert OTHER not in find_strata(BY_MODEL, of(*(f"m{n}" for n in range(MAX_STRATA)))).names


def test_a_value_that_is_called_like_the_other_stratum_belongs_to_it() -> None:
    found = find_strata(BY_MODEL, of(OTHER, OTHER, "a"))
    assert found.names == ("a", OTHER)
    assert found.index_by_device == {"d-0": 1, "d-1": 1, "d-2": 0}


@given(st.lists(values, min_size=1, max_size=300))
def test_each_device_has_one_stratum_and_each_stratum_a_device(found: list[str]) -> None:
    devices = of(*found)
    strata = find_strata(BY_MODEL, devices)
    assert set(strata.index_by_device) == {device.device_id for device in devices}
    assert len(set(strata.names)) == len(strata.names) <= MAX_STRATA + 1
    sizes = Counter(strata.index_by_device.values())
    assert set(sizes) == set(range(len(strata.names)))
    own = [sizes[number] for number, name in enumerate(strata.names) if name != OTHER]
    assert own == sorted(own, reverse=True)
    assert find_strata(BY_MODEL, reversed(devices)) == strata
