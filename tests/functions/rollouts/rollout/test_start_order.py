import hashlib
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.strategy import Share, WavePlan, percent
from functions.rollouts.model.target import TargetDevice
from functions.rollouts.model.wave import Counts, Wave, WaveStatus
from functions.rollouts.rollout.start_order import WavesError, fitting, start_order, wave_sizes


def plans(*sizes: int | Share) -> list[WavePlan]:
    return [WavePlan(size=size) for size in sizes]


def sizes_of(waves: Sequence[Wave]) -> list[int]:
    return [wave.size for wave in waves]


def names_of(waves: Sequence[Wave]) -> list[str]:
    return [wave.name for wave in waves]


# -- the sizes of waves


def test_without_plans_there_is_one_wave_of_all() -> None:
    (wave,) = wave_sizes([], 7)
    assert wave == Wave(name="all", first=0, size=7, counts=Counts(queued=7))


def test_what_is_left_is_a_last_wave() -> None:
    waves = wave_sizes(plans(percent(1), 50), 1000)
    assert sizes_of(waves) == [10, 50, 940]
    assert names_of(waves) == ["wave 1", "wave 2", "rest"]
    assert [wave.first for wave in waves] == [0, 10, 60]


def test_there_is_no_last_wave_when_nothing_is_left() -> None:
    assert sizes_of(wave_sizes(plans(40, 60), 100)) == [40, 60]
    assert wave_sizes([], 0) == ()


def test_a_share_is_rounded_up() -> None:
    assert sizes_of(wave_sizes(plans(percent(5)), 20)) == [1, 19]
    assert sizes_of(wave_sizes(plans(percent(5)), 21)) == [2, 19]


def test_a_share_is_at_least_one_device() -> None:
    assert sizes_of(wave_sizes(plans(Share(1)), 3)) == [1, 2]
    assert sizes_of(wave_sizes(plans(Share(0)), 3)) == [1, 2]


def test_a_share_is_exact_where_floating_point_is_not() -> None:
    assert sizes_of(wave_sizes(plans(percent(29)), 100)) == [29, 71]
    assert sizes_of(wave_sizes(plans(Share(110)), 10_000)) == [110, 9890]


def test_new_waves_are_pending_with_all_their_devices_queued() -> None:
    for wave in wave_sizes(plans(3), 10):
        assert wave.status is WaveStatus.PENDING
        assert wave.counts == Counts(queued=wave.size)


def test_given_names_are_kept_and_others_are_numbered_by_place() -> None:
    named = [WavePlan(size=1, name="canary"), WavePlan(size=2), WavePlan(size=3, name="early")]
    assert names_of(wave_sizes(named, 10)) == ["canary", "wave 2", "early", "rest"]


def test_a_wave_waits_for_approval_only_if_it_was_asked_for() -> None:
    waves = wave_sizes([WavePlan(size=1), WavePlan(size=2, approval=True)], 10)
    assert [wave.approval for wave in waves] == [False, True, False]
    assert not any(wave.approved for wave in waves)


@pytest.mark.parametrize("first", ["early", "wave 2", "rest"])
def test_a_name_that_two_waves_have_is_refused(first: str) -> None:
    second = "early" if first == "early" else None
    named = [WavePlan(size=1, name=first), WavePlan(size=2, name=second)]
    with pytest.raises(WavesError, match=f'2 waves are called "{first}"'):
        wave_sizes(named, 10)


def test_a_wave_may_be_called_rest_when_there_is_no_other() -> None:
    assert names_of(wave_sizes([WavePlan(size=10, name="rest")], 10)) == ["rest"]


def test_waves_that_ask_for_more_than_there_are_name_the_one_that_does_not_fit() -> None:
    named = [WavePlan(size=60), WavePlan(size=60, name="broad")]
    message = 'waves need 120 devices, the target has 100: "broad" needs 60, 40 are left'
    with pytest.raises(WavesError, match=f"^{message}$"):
        wave_sizes(named, 100)


def test_one_device_too_many_is_refused_even_if_it_comes_from_rounding() -> None:
    assert sizes_of(wave_sizes(plans(percent(50), percent(50)), 4)) == [2, 2]
    with pytest.raises(WavesError, match="need 4 devices, the target has 3"):
        wave_sizes(plans(percent(50), percent(50)), 3)


sizes = st.one_of(st.integers(1, 50), st.integers(1, 10_000).map(Share))


@given(st.lists(sizes, max_size=5), st.integers(1, 300))
def test_waves_follow_each_other_without_a_gap_and_add_up_to_the_target(
    asked: list[int | Share], total: int
) -> None:
    try:
        waves = wave_sizes(plans(*asked), total)
    except WavesError:
        return
    assert sum(sizes_of(waves)) == total
    assert [wave.first for wave in waves] == [0, *accumulate(sizes_of(waves))][:-1]
    assert all(wave.size > 0 for wave in waves)


# -- the order of the start


def fleet(**strata: int) -> list[TargetDevice]:
    return [
        TargetDevice(f"{name}-{number}", name)
        for name, devices in strata.items()
        for number in range(devices)
    ]


def rank(rollout_id: str, device_id: str) -> bytes:
    return hashlib.sha256(f"{rollout_id}/{device_id}".encode()).digest()


def waves_of(order: Sequence[str], wave_sizes: Sequence[int]) -> list[list[str]]:
    ends = list(accumulate(wave_sizes))
    return [list(order[end - size : end]) for end, size in zip(ends, wave_sizes, strict=True)]


def mixes(members: Sequence[TargetDevice], wave_sizes: Sequence[int]) -> list[Counter[str]]:
    """How many devices of each stratum each wave has."""
    strata = {member.device_id: member.stratum for member in members}
    order = start_order("r1", members, wave_sizes)
    return [
        Counter(strata[device_id] for device_id in wave) for wave in waves_of(order, wave_sizes)
    ]


def test_without_strata_devices_start_by_the_hash_of_rollout_and_device() -> None:
    members = [TargetDevice(f"device-{number}") for number in range(50)]
    ids = [member.device_id for member in members]
    assert start_order("r1", members, [5, 45]) == sorted(ids, key=lambda name: rank("r1", name))


def test_the_hash_is_of_utf_8() -> None:
    members = [TargetDevice(name) for name in ("pumpe-ä", "pumpe-ö", "pumpe-ü")]
    assert start_order("r1", members, [3]) == sorted(
        (member.device_id for member in members), key=lambda name: rank("r1", name)
    )


def test_another_rollout_begins_with_other_devices() -> None:
    members = fleet(a=1000)
    first, second = (set(start_order(name, members, [1000])[:100]) for name in ("r1", "r2"))
    assert len(first & second) < 50


def test_an_empty_target_has_an_empty_order() -> None:
    assert start_order("r1", [], []) == []


def test_sizes_that_do_not_add_up_to_the_devices_are_refused() -> None:
    for wrong in ([5, 4], [5, 6]):
        with pytest.raises(ValueError, match="for 10"):
            start_order("r1", fleet(a=10), wrong)


def test_a_device_given_twice_counts_once_in_the_stratum_that_sorts_first() -> None:
    members = [
        TargetDevice("d1", "b"),
        TargetDevice("d2", "b"),
        TargetDevice("d1", "a"),
        TargetDevice("d3", "a"),
    ]
    clean = [TargetDevice("d1", "a"), TargetDevice("d2", "b"), TargetDevice("d3", "a")]
    assert start_order("r1", members, [1, 2]) == start_order("r1", clean, [1, 2])


def test_each_wave_has_the_mix_of_the_target() -> None:
    assert mixes(fleet(a=600, b=300, c=100), [10, 100, 890]) == [
        {"a": 6, "b": 3, "c": 1},
        {"a": 60, "b": 30, "c": 10},
        {"a": 534, "b": 267, "c": 89},
    ]


def test_the_largest_remainder_gets_the_device_that_is_over() -> None:
    assert mixes(fleet(a=47, b=16, c=37), [10, 90])[0] == {"a": 5, "b": 1, "c": 4}  # 4.7, 1.6, 3.7


def test_equal_remainders_go_to_the_name_that_sorts_first() -> None:
    assert mixes(fleet(b=10, a=10), [3, 17])[0] == {"a": 2, "b": 1}


def test_a_canary_as_large_as_the_number_of_strata_has_one_of_each() -> None:
    assert mixes(fleet(a=9998, b=1, c=1), [3, 9997])[0] == {"a": 1, "b": 1, "c": 1}


def test_a_canary_smaller_than_the_number_of_strata_has_those_with_most_devices() -> None:
    assert mixes(fleet(a=50, b=30, c=20), [2, 98])[0] == {"a": 1, "b": 1}


def test_a_later_wave_has_one_of_each_stratum_that_is_not_used_up() -> None:
    assert mixes(fleet(a=995, b=4, c=1), [5, 5, 990])[1] == {"a": 4, "b": 1}


def test_what_one_of_each_took_from_large_strata_is_made_up_for_later() -> None:
    first, second, _ = mixes(fleet(a=940, b=20, c=20, d=20), [4, 96, 900])
    assert first == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert first + second == {"a": 94, "b": 2, "c": 2, "d": 2}


def test_large_strata_share_what_one_of_each_leaves() -> None:
    small = {f"small_{number}": 2 for number in range(10)}
    cut = mixes(fleet(a=680, b=300, **small), [16, 984])[0]  # exact: 10.88, 4.8, ten times 0.03
    assert cut == {"a": 4, "b": 2, **dict.fromkeys(small, 1)}


def test_strata_are_mixed_by_rank_within_a_wave() -> None:
    order = start_order("r1", fleet(a=60, b=40), [20, 80])
    for wave in waves_of(order, [20, 80]):
        assert wave == sorted(wave, key=lambda name: rank("r1", name))


@st.composite
def targets(draw: st.DrawFn) -> tuple[list[TargetDevice], list[int]]:
    """Devices in up to 8 strata, and the sizes of waves that they fill."""
    strata = draw(st.lists(st.integers(1, 40), min_size=1, max_size=8))
    members = fleet(**{f"s{number}": devices for number, devices in enumerate(strata)})
    cuts = draw(st.lists(st.integers(0, len(members)), max_size=6).map(sorted))
    ends = [*cuts, len(members)]
    return members, [end - begin for begin, end in zip([0, *cuts], ends, strict=True)]


def outside_range(mix: Counter[str], whole: Counter[str], end: int) -> list[str]:
    """The strata of which the first `end` devices have neither share, rounded down or up."""
    total = whole.total()
    return [
        name for name, devices in whole.items() if abs(mix[name] * total - end * devices) >= total
    ]


@given(targets())
def test_every_device_starts_once(target: tuple[list[TargetDevice], list[int]]) -> None:
    members, wave_sizes = target
    order = start_order("r1", members, wave_sizes)
    assert sorted(order) == sorted(member.device_id for member in members)


@given(targets(), st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_the_order_of_the_target(
    target: tuple[list[TargetDevice], list[int]], random: Random
) -> None:
    members, wave_sizes = target
    shuffled = random.sample([*members, *members], k=2 * len(members))
    assert start_order("r1", shuffled, wave_sizes) == start_order("r1", members, wave_sizes)


@given(targets())
def test_within_a_stratum_devices_start_by_rank(
    target: tuple[list[TargetDevice], list[int]],
) -> None:
    members, wave_sizes = target
    order = start_order("r1", members, wave_sizes)
    for stratum in {member.stratum for member in members}:
        own = [name for name in order if name.startswith(f"{stratum}-")]
        assert own == sorted(own, key=lambda name: rank("r1", name))


@given(targets())
def test_a_wave_that_is_large_enough_has_all_strata_that_are_left(
    target: tuple[list[TargetDevice], list[int]],
) -> None:
    members, wave_sizes = target
    left = Counter(member.stratum for member in members)
    for size, mix in zip(wave_sizes, mixes(members, wave_sizes), strict=True):
        if size >= len(left):
            assert mix.keys() == left.keys()
        left -= mix


@given(st.lists(st.integers(1, 40), min_size=2, max_size=8))
def test_waves_of_one_device_are_always_within_one_of_the_exact_share(strata: list[int]) -> None:
    members = fleet(**{f"s{number}": devices for number, devices in enumerate(strata)})
    whole = Counter(member.stratum for member in members)
    so_far: Counter[str] = Counter()
    for end, mix in enumerate(mixes(members, [1] * len(members)), start=1):
        so_far += mix
        assert outside_range(so_far, whole, end) == []


@given(targets())
def test_waves_are_within_one_of_the_exact_share_until_one_of_each_is_taken(
    target: tuple[list[TargetDevice], list[int]],
) -> None:
    members, wave_sizes = target
    whole = Counter(member.stratum for member in members)
    so_far: Counter[str] = Counter()
    for size, mix in zip(wave_sizes, mixes(members, wave_sizes), strict=True):
        if size >= len(whole - so_far):
            break
        so_far += mix
        assert outside_range(so_far, whole, so_far.total()) == []


@given(st.lists(st.integers(20, 60), min_size=2, max_size=6), st.integers(1, 4))
def test_a_first_wave_with_room_for_all_is_within_one_of_the_exact_share(
    strata: list[int], tenths: int
) -> None:
    members = fleet(**{f"s{number}": devices for number, devices in enumerate(strata)})
    whole = Counter(member.stratum for member in members)
    end = -(-len(members) * tenths // 10) * 2
    if all(end * devices >= len(members) for devices in strata):
        first, _ = mixes(members, [end, len(members) - end])
        assert outside_range(first, whole, end) == []


@given(
    st.lists(st.integers(1, 50) | st.integers(1, 10_000).map(Share), max_size=6), st.integers(1, 80)
)
def test_waves_that_were_made_for_a_larger_target_fit_a_smaller_one(
    sizes: list[int | Share], total: int
) -> None:
    plans = [WavePlan(size=size) for size in sizes]
    waves = wave_sizes(fitting(plans, total), total)
    assert sum(wave.size for wave in waves) == total
