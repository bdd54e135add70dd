"""Plan the waves that have not opened anew, fit waves to a smaller target, and spread strata."""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

import pytest

from functions.rollouts.model.strategy import WavePlan, percent
from functions.rollouts.model.target import TargetDevice
from functions.rollouts.model.wave import Wave
from functions.rollouts.rollout.start_order import (
    OpenedWavesError,
    WavesError,
    fit_waves,
    plan_waves,
    replan_waves,
    start_order,
)
from tests.functions.builders import make_wave


def plan(size: int, name: str | None = None, *, approval: bool = False) -> WavePlan:
    return WavePlan(size=size, name=name, approval=approval)


def list_waves(waves: Sequence[Wave]) -> list[tuple[str, int, int]]:
    return [(wave.name, wave.first, wave.size) for wave in waves]


# -- waves that have not opened --------------------------------------------------------------


def test_all_waves_are_planned_anew_if_none_has_opened() -> None:
    found = replan_waves([plan(1), plan(3, approval=True)], [plan(5)], [], 10)
    assert list_waves(found) == [("wave 1", 0, 1), ("wave 2", 1, 3), ("rest", 4, 6)]
    assert [wave.approval for wave in found] == [False, True, False]


def test_waves_that_have_opened_stay_and_the_others_take_what_is_left() -> None:
    opened = [make_wave(2, name="wave 1")]
    found = replan_waves([plan(2), plan(4)], [plan(2)], opened, 10)
    assert found[0] is opened[0]
    assert list_waves(found) == [("wave 1", 0, 2), ("wave 2", 2, 4), ("rest", 6, 4)]


def test_a_wave_that_ends_before_the_opened_ones_end_is_left_out() -> None:
    """The opened wave has more devices than its plan, because devices were left over."""
    opened = [make_wave(6, name="wave 1")]
    found = replan_waves([plan(2), plan(3), plan(1), plan(2)], [plan(2)], opened, 10)
    assert list_waves(found) == [("wave 1", 0, 6), ("wave 4", 6, 2), ("rest", 8, 2)]


def test_an_opened_rest_is_no_planned_wave() -> None:
    opened = [make_wave(2, name="a"), make_wave(3, first=2, name="rest")]
    found = replan_waves([plan(2, "a"), plan(9, "b")], [plan(2, "a")], opened, 12)
    assert list_waves(found) == [("a", 0, 2), ("rest", 2, 3), ("b", 5, 6)]


@pytest.mark.parametrize(
    "plans", [[plan(3, "a"), plan(4, "b")], [plan(2, "a")], [plan(2, "a"), plan(4, "c")], []]
)
def test_the_plans_of_opened_waves_may_not_change(plans: list[WavePlan]) -> None:
    present = [plan(2, "a"), plan(4, "b"), plan(1, "c")]
    opened = [make_wave(2, name="a"), make_wave(4, first=2, name="b")]
    with pytest.raises(OpenedWavesError, match=r"as they are: a, b$"):
        replan_waves(plans, present, opened, 10)
    assert replan_waves(present[:2], present, opened, 10)[-1].size == 4


def test_no_wave_is_changed_once_all_have_opened() -> None:
    with pytest.raises(OpenedWavesError, match="every wave has opened"):
        replan_waves([plan(2)], [plan(2)], [make_wave(2, name="wave 1")], 2)


# -- waves of another target -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "total", "expected"),
    [
        ([2, 3], 5, [2, 3]),
        ([2, 3], 4, [2, 2]),
        ([2, 3], 3, [2, 1]),
        ([2, 3, 4], 3, [2, 1]),
        ([2, 3], 2, [2]),
        ([2], 1, [1]),
    ],
)
def test_waves_are_cut_to_the_devices_of_a_smaller_target(
    sizes: list[int], total: int, expected: list[int]
) -> None:
    found = fit_waves([plan(size, str(size), approval=True) for size in sizes], total)
    assert [item.size for item in found] == expected
    assert all(item.approval for item in found)
    assert [item.name for item in found] == [str(size) for size in sizes[: len(found)]]


def test_a_wave_that_is_too_large_only_by_rounding_is_kept() -> None:
    plans = (WavePlan(size=1), WavePlan(size=percent(80)))
    assert fit_waves(plans, 4) == plans


def test_a_wave_that_does_not_fit_is_told_with_what_is_left() -> None:
    with pytest.raises(WavesError) as refused:
        plan_waves([plan(11, "a")], 10)
    expected = 'waves need 11 devices, the target has 10: "a" needs 11, 10 are left'
    assert str(refused.value) == expected


# -- strata ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strata", "sizes", "expected"),
    [
        # Where remainders would give a later wave two devices of a stratum too many, the stratum
        # that needs its device first gets it first.
        ("bbbbbbbbccccccaadddddddd", (3, 1, 3, 5, 3, 3, 3, 3), "bcd b acd abbcd bcd bcd bcd bdd"),
        ("abbbccccd", (3, 5, 1), "bcc abbcd c"),
        ("aabbcccccccc", (4, 5, 3), "abcc abccc ccc"),
        ("aaaaaabccccccdd", (5, 5, 1, 3, 1), "aabcd aaccd c aac c"),
    ],
)
def test_each_wave_takes_its_share_of_each_stratum(
    strata: str, sizes: tuple[int, ...], expected: str
) -> None:
    devices = [TargetDevice(f"{name}-{n}", name) for n, name in enumerate(strata)]
    order = start_order("r1", devices, sizes)
    ends = list(accumulate(sizes))
    waves = [
        "".join(sorted(name[0] for name in order[end - size : end]))
        for end, size in zip(ends, sizes, strict=True)
    ]
    assert waves == expected.split()
    assert Counter(name[0] for name in order) == Counter(strata)


@pytest.mark.parametrize("names", [("b", "a", "c"), ("a", "b", "c"), ("c", "b", "a")])
def test_a_device_given_several_times_is_in_the_stratum_that_sorts_first(
    names: tuple[str, ...],
) -> None:
    others = [TargetDevice(f"a-{n}", "a") for n in range(9)] + [TargetDevice("z", "z")]
    twice = [TargetDevice("twice", name) for name in names]
    order = start_order("r1", [*others, *twice], (2, 9))
    assert start_order("r1", [*others, TargetDevice("twice", "a")], (2, 9)) == order
