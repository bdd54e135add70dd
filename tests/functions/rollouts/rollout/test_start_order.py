"""The order in which devices start, spread over their strata, and waves of a smaller target."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.strategy import Share, WavePlan
from functions.rollouts.model.target import TargetDevice
from functions.rollouts.rollout.start_order import (
    fit_waves,
    plan_waves,
    start_order,
)


def make_devices(**strata: int) -> list[TargetDevice]:
    return [
        TargetDevice(f"{name}-{number}", name)
        for name, size in strata.items()
        for number in range(size)
    ]


def rank(rollout_id: str, device_id: str) -> bytes:
    return hashlib.sha256(f"{rollout_id}/{device_id}".encode()).digest()


def split_waves(order: Sequence[str], wave_sizes: Sequence[int]) -> list[list[str]]:
    ends = list(accumulate(wave_sizes))
    return [list(order[end - size : end]) for end, size in zip(ends, wave_sizes, strict=True)]


def count_strata(devices: Sequence[TargetDevice], wave_sizes: Sequence[int]) -> list[Counter[str]]:
    """Count the devices of each stratum in each wave."""
    strata = {device.device_id: device.stratum for device in devices}
    order = start_order("r1", devices, wave_sizes)
    return [
        Counter(strata[device_id] for device_id in wave) for wave in split_waves(order, wave_sizes)
    ]


def test_without_strata_devices_start_in_the_order_of_their_hashes() -> None:
    devices = [TargetDevice(f"device-{number}") for number in range(50)]
    ids = [device.device_id for device in devices]
    assert start_order("r1", devices, [5, 45]) == sorted(ids, key=lambda name: rank("r1", name))


def test_ids_are_hashed_as_utf_8() -> None:
    devices = [TargetDevice(name) for name in ("pumpe-ä", "pumpe-ö", "pumpe-ü")]
    assert start_order("r1", devices, [3]) == sorted(
        (device.device_id for device in devices), key=lambda name: rank("r1", name)
    )


def test_another_rollout_starts_with_other_devices() -> None:
    devices = make_devices(a=1000)
    first, second = (set(start_order(name, devices, [1000])[:100]) for name in ("r1", "r2"))
    assert len(first & second) < 50


def test_an_empty_target_has_an_empty_order() -> None:
    assert start_order("r1", [], []) == []


def test_sizes_that_do_not_add_up_to_the_devices_are_refused() -> None:
    for wrong in ([5, 4], [5, 6]):
        with pytest.raises(ValueError, match="for 10"):
            start_order("r1", make_devices(a=10), wrong)


def test_a_device_given_twice_counts_once_in_the_stratum_that_sorts_first() -> None:
    devices = [
        TargetDevice("d1", "b"),
        TargetDevice("d2", "b"),
        TargetDevice("d1", "a"),
        TargetDevice("d3", "a"),
    ]
    clean = [TargetDevice("d1", "a"), TargetDevice("d2", "b"), TargetDevice("d3", "a")]
    assert start_order("r1", devices, [1, 2]) == start_order("r1", clean, [1, 2])


def test_each_wave_has_the_mix_of_the_target() -> None:
    assert count_strata(make_devices(a=600, b=300, c=100), [10, 100, 890]) == [
        {"a": 6, "b": 3, "c": 1},
        {"a": 60, "b": 30, "c": 10},
        {"a": 534, "b": 267, "c": 89},
    ]


def test_the_stratum_with_the_largest_remainder_gets_the_extra_device() -> None:
    # The exact shares are 4.7, 1.6 and 3.7.
    first, _ = count_strata(make_devices(a=47, b=16, c=37), [10, 90])
    assert first == {"a": 5, "b": 1, "c": 4}


def test_of_equal_remainders_the_name_that_sorts_first_gets_the_extra_device() -> None:
    assert count_strata(make_devices(b=10, a=10), [3, 17])[0] == {"a": 2, "b": 1}


def test_a_canary_with_one_device_per_stratum_has_one_of_each() -> None:
    assert count_strata(make_devices(a=9998, b=1, c=1), [3, 9997])[0] == {"a": 1, "b": 1, "c": 1}


def test_a_canary_smaller_than_the_number_of_strata_has_the_largest_strata() -> None:
    assert count_strata(make_devices(a=50, b=30, c=20), [2, 98])[0] == {"a": 1, "b": 1}


def test_a_later_wave_has_one_device_of_each_stratum_with_devices_left() -> None:
    assert count_strata(make_devices(a=995, b=4, c=1), [5, 5, 990])[1] == {"a": 4, "b": 1}


def test_later_waves_restore_the_exact_share_of_large_strata() -> None:
    first, second, _ = count_strata(make_devices(a=940, b=20, c=20, d=20), [4, 96, 900])
    assert first == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert first + second == {"a": 94, "b": 2, "c": 2, "d": 2}


def test_large_strata_share_the_devices_left_after_one_of_each() -> None:
    small = {f"small_{number}": 2 for number in range(10)}
    # The exact shares are 10.88, 4.8 and ten times 0.03.
    first, _ = count_strata(make_devices(a=680, b=300, **small), [16, 984])
    assert first == {"a": 4, "b": 2, **dict.fromkeys(small, 1)}


def test_strata_are_mixed_by_rank_within_a_wave() -> None:
    order = start_order("r1", make_devices(a=60, b=40), [20, 80])
    for wave in split_waves(order, [20, 80]):
        assert wave == sorted(wave, key=lambda name: rank("r1", name))


@st.composite
def targets(draw: st.DrawFn) -> tuple[list[TargetDevice], list[int]]:
    """Draw devices in up to 8 strata, and the sizes of their waves."""
    strata = draw(st.lists(st.integers(1, 40), min_size=1, max_size=8))
    devices = make_devices(**{f"s{number}": size for number, size in enumerate(strata)})
    cuts = draw(st.lists(st.integers(0, len(devices)), max_size=6).map(sorted))
    ends = [*cuts, len(devices)]
    return devices, [end - begin for begin, end in zip([0, *cuts], ends, strict=True)]


def find_outside_range(mix: Counter[str], whole: Counter[str], end: int) -> list[str]:
    """Return the strata whose share of the first `end` devices is wrong by one device or more."""
    total = whole.total()
    return [name for name, size in whole.items() if abs(mix[name] * total - end * size) >= total]


@given(targets())
def test_every_device_starts_once(target: tuple[list[TargetDevice], list[int]]) -> None:
    devices, wave_sizes = target
    order = start_order("r1", devices, wave_sizes)
    assert sorted(order) == sorted(device.device_id for device in devices)


@given(targets(), st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_the_order_of_the_target(
    target: tuple[list[TargetDevice], list[int]], random: Random
) -> None:
    devices, wave_sizes = target
    shuffled = random.sample([*devices, *devices], k=2 * len(devices))
    assert start_order("r1", shuffled, wave_sizes) == start_order("r1", devices, wave_sizes)


@given(targets())
def test_devices_of_a_stratum_start_by_rank(
    target: tuple[list[TargetDevice], list[int]],
) -> None:
    devices, wave_sizes = target
    order = start_order("r1", devices, wave_sizes)
    for stratum in {device.stratum for device in devices}:
        own = [name for name in order if name.startswith(f"{stratum}-")]
        assert own == sorted(own, key=lambda name: rank("r1", name))


@given(targets())
def test_a_wave_that_is_large_enough_has_every_stratum_with_devices_left(
    target: tuple[list[TargetDevice], list[int]],
) -> None:
    devices, wave_sizes = target
    left = Counter(device.stratum for device in devices)
    for size, mix in zip(wave_sizes, count_strata(devices, wave_sizes), strict=True):
        if size >= len(left):
            assert mix.keys() == left.keys()
        left -= mix


@given(st.lists(st.integers(1, 40), min_size=2, max_size=8))
def test_waves_of_one_device_stay_within_one_device_of_the_exact_share(strata: list[int]) -> None:
    devices = make_devices(**{f"s{number}": size for number, size in enumerate(strata)})
    whole = Counter(device.stratum for device in devices)
    so_far: Counter[str] = Counter()
    for end, mix in enumerate(count_strata(devices, [1] * len(devices)), start=1):
        so_far += mix
        assert find_outside_range(so_far, whole, end) == []


@given(targets())
def test_larger_waves_stay_within_one_device_of_the_exact_share(
    target: tuple[list[TargetDevice], list[int]],
) -> None:
    devices, wave_sizes = target
    whole = Counter(device.stratum for device in devices)
    so_far: Counter[str] = Counter()
    for size, mix in zip(wave_sizes, count_strata(devices, wave_sizes), strict=True):
        if size >= len(whole - so_far):
            break
        so_far += mix
        assert find_outside_range(so_far, whole, so_far.total()) == []


@given(st.lists(st.integers(20, 60), min_size=2, max_size=6), st.integers(1, 4))
def test_a_large_first_wave_is_within_one_device_of_the_exact_share(
    strata: list[int], tenths: int
) -> None:
    devices = make_devices(**{f"s{number}": size for number, size in enumerate(strata)})
    whole = Counter(device.stratum for device in devices)
    end = -(-len(devices) * tenths // 10) * 2
    if all(end * size >= len(devices) for size in strata):
        first, _ = count_strata(devices, [end, len(devices) - end])
        assert find_outside_range(first, whole, end) == []


@given(
    st.lists(st.integers(1, 50) | st.integers(1, 10_000).map(Share), max_size=6), st.integers(1, 80)
)
def test_waves_planned_for_a_larger_target_are_fitted_to_a_smaller_one(
    sizes: list[int | Share], total: int
) -> None:
    plans = [WavePlan(size=size) for size in sizes]
    fitted = fit_waves(plans, total)
    assert all(plan.size for plan in fitted)
    waves = plan_waves(fitted, total)
    assert sum(wave.size for wave in waves) == total


def test_a_device_that_is_given_twice_is_in_the_stratum_whose_name_sorts_first() -> None:
    others = make_devices(berlin=3, paris=3)
    first, second = TargetDevice("both", "berlin"), TargetDevice("both", "paris")

    def orders(*devices: TargetDevice) -> list[list[str]]:
        return [start_order(f"r{n}", [*others, *devices], [2, 2, 3]) for n in range(20)]

    assert orders(first, second) == orders(second, first) == orders(first) != orders(second)
