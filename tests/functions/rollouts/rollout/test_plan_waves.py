"""How waves are planned: names, numbers of devices, shares, and approval."""

from collections.abc import Sequence
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.strategy import Share, WavePlan, percent
from functions.rollouts.model.wave import Counts, Wave, WaveStatus
from functions.rollouts.rollout.start_order import (
    WavesError,
    empty_waves,
    plan_waves,
    replan_waves,
)
from tests.functions.rollouts.rollout.wave_plans import SIZES


def make_plans(*sizes: int | Share) -> list[WavePlan]:
    return [WavePlan(size=size) for size in sizes]


def list_sizes(waves: Sequence[Wave]) -> list[int]:
    return [wave.size for wave in waves]


def list_names(waves: Sequence[Wave]) -> list[str]:
    return [wave.name for wave in waves]


def test_without_plans_all_devices_are_one_wave() -> None:
    (wave,) = plan_waves([], 7)
    assert wave == Wave(name="all", first=0, size=7, counts=Counts(queued=7))


def test_the_remaining_devices_are_a_last_wave() -> None:
    waves = plan_waves(make_plans(percent(1), 50), 1000)
    assert list_sizes(waves) == [10, 50, 940]
    assert list_names(waves) == ["wave 1", "wave 2", "rest"]
    assert [wave.first for wave in waves] == [0, 10, 60]


def test_without_remaining_devices_no_last_wave_is_added() -> None:
    assert list_sizes(plan_waves(make_plans(40, 60), 100)) == [40, 60]
    assert plan_waves([], 0) == ()


def test_a_share_is_rounded_up() -> None:
    assert list_sizes(plan_waves(make_plans(percent(5)), 20)) == [1, 19]
    assert list_sizes(plan_waves(make_plans(percent(5)), 21)) == [2, 19]


def test_the_first_share_is_at_least_one_device() -> None:
    assert list_sizes(plan_waves(make_plans(Share(1)), 3)) == [1, 2]
    assert list_sizes(plan_waves(make_plans(percent(1), percent(10)), 1)) == [1]


def test_shares_are_calculated_exactly() -> None:
    assert list_sizes(plan_waves(make_plans(percent(29)), 100)) == [29, 71]
    assert list_sizes(plan_waves(make_plans(Share(110)), 10_000)) == [110, 9890]


def test_new_waves_are_pending_with_all_their_devices_queued() -> None:
    for wave in plan_waves(make_plans(3), 10):
        assert wave.status is WaveStatus.PENDING
        assert wave.counts == Counts(queued=wave.size)


def test_waves_without_a_name_are_numbered() -> None:
    named = [WavePlan(size=1, name="canary"), WavePlan(size=2), WavePlan(size=3, name="early")]
    assert list_names(plan_waves(named, 10)) == ["canary", "wave 2", "early", "rest"]


def test_a_wave_needs_approval_only_if_its_plan_says_so() -> None:
    waves = plan_waves([WavePlan(size=1), WavePlan(size=2, approval=True)], 10)
    assert [wave.approval for wave in waves] == [False, True, False]
    assert not any(wave.approved for wave in waves)


@pytest.mark.parametrize("first", ["early", "wave 2", "rest"])
def test_two_waves_with_the_same_name_are_refused(first: str) -> None:
    second = "early" if first == "early" else None
    named = [WavePlan(size=1, name=first), WavePlan(size=2, name=second)]
    with pytest.raises(WavesError, match=f'2 waves are called "{first}"'):
        plan_waves(named, 10)


def test_a_wave_may_be_called_rest_if_no_devices_remain() -> None:
    assert list_names(plan_waves([WavePlan(size=10, name="rest")], 10)) == ["rest"]


def test_waves_larger_than_the_target_are_refused_with_the_first_that_does_not_fit() -> None:
    named = [WavePlan(size=60), WavePlan(size=60, name="broad")]
    message = 'waves need 120 devices, the target has 100: "broad" needs 60, 40 are left'
    with pytest.raises(WavesError, match=f"^{message}$"):
        plan_waves(named, 100)


TENTHS = (10,) * 10


@pytest.mark.parametrize("total", [1, 2, 3, 9, 10, 101, 1000])
@pytest.mark.parametrize("shares", [(50, 50), (33, 33, 34), TENTHS, (1, 99), (1, 9, 40, 50)])
def test_shares_of_100_percent_in_all_fit_every_target(shares: tuple[int, ...], total: int) -> None:
    waves = plan_waves(make_plans(*map(percent, shares)), total)
    assert sum(list_sizes(waves)) == total
    assert "rest" not in list_names(waves)


def test_shares_are_cumulative() -> None:
    assert list_sizes(plan_waves(make_plans(percent(50), percent(50)), 3)) == [2, 1]
    assert list_sizes(plan_waves(make_plans(*map(percent, (33, 33, 34))), 101)) == [34, 33, 34]
    assert list_sizes(plan_waves(make_plans(*map(percent, TENTHS)), 101)) == [11] + [10] * 9


def test_shares_above_100_percent_in_all_are_refused_for_every_target() -> None:
    for total in (100, 1000, 100_000):
        with pytest.raises(WavesError, match="waves need"):
            plan_waves(make_plans(percent(60), percent(41)), total)


def test_a_number_adds_to_the_shares_before_it() -> None:
    assert list_sizes(plan_waves(make_plans(5, percent(10), 2, percent(50)), 33)) == [
        5,
        4,
        2,
        16,
        6,
    ]


@pytest.mark.parametrize("total", [1, 2, 10, 50, 99])
def test_a_number_and_a_share_may_exceed_the_target_by_rounding(total: int) -> None:
    assert sum(list_sizes(plan_waves(make_plans(1, percent(99)), total))) == total
    assert sum(list_sizes(plan_waves(make_plans(percent(99), 1), total))) == total


def test_a_number_and_a_share_that_exceed_the_target_by_a_device_are_refused() -> None:
    message = 'waves need 53 devices, the target has 50: "wave 2" needs 48, 45 are left'
    with pytest.raises(WavesError, match=f"^{message}$"):
        plan_waves(make_plans(5, percent(95)), 50)


def test_a_wave_without_a_device_is_left_out_and_named() -> None:
    plans = [WavePlan(size=percent(1), name="canary"), WavePlan(size=percent(10), name="early")]
    waves = plan_waves(plans, 5)
    assert list_names(waves) == ["canary", "rest"]
    assert empty_waves(plans, waves) == ["early"]
    assert empty_waves(plans, plan_waves(plans, 100)) == []


def test_the_approval_of_a_wave_that_is_left_out_passes_to_the_next_wave() -> None:
    one, two = WavePlan(size=percent(1)), WavePlan(size=percent(1), approval=True)
    assert [wave.approval for wave in plan_waves([one, two], 10)] == [False, True]
    three = WavePlan(size=5)
    assert [wave.approval for wave in plan_waves([one, two, three], 10)] == [False, True, False]


def test_the_names_of_waves_must_differ_even_if_one_of_them_is_left_out() -> None:
    same = [WavePlan(size=percent(1), name="a"), WavePlan(size=percent(1), name="a")]
    with pytest.raises(WavesError, match="2 waves are called"):
        plan_waves(same, 1)


@given(st.lists(SIZES, max_size=5), st.integers(0, 300))
def test_waves_contain_each_device_once(planned: list[int | Share], total: int) -> None:
    plans = make_plans(*planned)
    try:
        waves = plan_waves(plans, total)
    except WavesError:
        exact = sum(size.of(total) if isinstance(size, Share) else size for size in planned)
        assert exact >= total + 1
        return
    assert sum(list_sizes(waves)) == total
    assert [wave.first for wave in waves] == [0, *accumulate(list_sizes(waves))][:-1]
    assert all(wave.size > 0 for wave in waves)
    assert {*list_names(waves), *empty_waves(plans, waves)} >= {
        f"wave {number}" for number in range(1, len(plans) + 1)
    }


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=50), st.integers(1, 10_000))
def test_shares_that_do_not_exceed_100_percent_fit_every_target(
    shares: list[int], total: int
) -> None:
    whole = sum(shares)
    fitting = [Share(share * 10_000 // whole) for share in shares]
    waves = plan_waves(make_plans(*fitting), total)
    assert sum(list_sizes(waves)) == total
    for wave in waves:  # each boundary is less than a device from the exact share
        ends = [sum(share.hundredths for share in fitting[: n + 1]) for n in range(len(fitting))]
        end = wave.first + wave.size
        assert end == total or any(0 <= end - share * total / 10_000 < 1 for share in ends)


@pytest.mark.parametrize("approval", [True, False])
def test_a_new_plan_keeps_opened_waves_and_the_approvals_of_the_others(approval: bool) -> None:
    present = make_plans(10, 20)
    opened = plan_waves(present, 100)[:1]
    plans = [present[0], WavePlan(size=30, name="sites", approval=approval)]
    waves = replan_waves(plans, present, opened, 100)
    assert list_sizes(waves) == [10, 30, 60]
    assert [wave.approval for wave in waves] == [False, approval, False]
