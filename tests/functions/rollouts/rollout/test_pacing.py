"""The budget of a hub's quotas: how it is refilled, emptied and adapted to the load."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.quotas import (
    MESSAGES_PER_UPDATE,
    REPORTS_PER_UPDATE,
    Budget,
    Tier,
    quotas,
)
from functions.rollouts.rollout.pacing import (
    SAVED_SECONDS,
    SLOW_SECONDS,
    SLOWEST,
    adapt,
    empty,
    refill,
)
from tests.functions.builders import NOON, at

S1 = quotas(Tier.S1, 1)
UNTHROTTLED = HubLoad(methods=10, seconds=0.2)


# Microsoft Learn, "IoT Hub quotas and throttling": methods, twin reads and twin updates a second,
# queries a minute, messages a day.
DOCUMENTED = {
    (Tier.S1, 1): (40, 100, 50, 20, 400_000),
    (Tier.S1, 10): (400, 100, 50, 200, 4_000_000),
    (Tier.S2, 1): (120, 100, 50, 20, 6_000_000),
    (Tier.S2, 10): (1200, 100, 50, 200, 60_000_000),
    (Tier.S2, 11): (1320, 110, 55, 220, 66_000_000),
    (Tier.S3, 1): (6144, 500, 250, 1000, 300_000_000),
    (Tier.S3, 2): (12_288, 1000, 500, 2000, 600_000_000),
}


@pytest.mark.parametrize(("tier", "units"), DOCUMENTED)
def test_quotas_are_the_documented_ones(tier: Tier, units: int) -> None:
    limits = quotas(tier, units)
    methods, reads, updates, queries, messages = DOCUMENTED[tier, units]
    assert (limits.methods, limits.twin_reads, limits.twin_updates) == (methods, reads, updates)
    assert limits.queries * 60 == pytest.approx(queries)
    assert limits.messages_a_day == messages


def test_devices_start_as_fast_as_their_reports_or_the_methods_allow() -> None:
    assert S1.starts == pytest.approx(50 / REPORTS_PER_UPDATE)
    assert replace(S1, methods=10.0).starts == 10
    assert replace(S1, share=0.5).starts == pytest.approx(S1.starts / 2)


def test_a_scaled_hub_allows_more_per_second_but_not_per_day() -> None:
    fast = quotas(Tier.S1, 1, scale=10)
    assert fast.methods == 400
    assert fast.queries == pytest.approx(S1.queries * 10)
    assert fast.messages_a_day == S1.messages_a_day


def test_an_update_costs_seven_messages() -> None:
    assert MESSAGES_PER_UPDATE == 7


# -- refilling -------------------------------------------------------------------------------


def test_the_first_budget_is_the_largest_that_can_be_saved() -> None:
    budget = refill(None, S1, NOON)
    assert budget.starts == pytest.approx(S1.starts * SAVED_SECONDS)
    assert budget.twin_reads == pytest.approx(1500)
    assert budget.queries == pytest.approx(5)


def test_the_remaining_budget_grows_with_the_elapsed_time() -> None:
    budget = refill(Budget(at=NOON, starts=5.0, twin_reads=-20.0), S1, at(1))
    assert budget.at == at(1)
    assert budget.starts == pytest.approx(5 + S1.starts)
    assert budget.twin_reads == pytest.approx(80)


def test_an_overspent_budget_is_repaid_first() -> None:
    assert refill(Budget(at=NOON, starts=-100.0), S1, at(1)).starts < 0


def test_a_long_pause_saves_no_more_than_the_maximum() -> None:
    budget = refill(Budget(at=NOON), S1, at(3600))
    assert budget.starts == pytest.approx(S1.starts * SAVED_SECONDS)
    assert budget.queries == pytest.approx(S1.queries * SAVED_SECONDS)


def test_even_the_slowest_budget_can_be_saved_for_one_query() -> None:
    slow = Budget(at=NOON, factor=SLOWEST)
    assert refill(slow, S1, at(3600)).queries == 1


def test_a_clock_that_is_set_back_leaves_the_budget_unchanged() -> None:
    budget = Budget(at=at(60), starts=5.0)
    assert refill(budget, S1, NOON).starts == 5


def test_the_daily_message_count_is_reset_at_midnight_utc() -> None:
    evening = at(12 * 3600 - 1)
    budget = Budget(at=evening, messages_spent=399_999.0)
    assert refill(budget, S1, evening + timedelta(seconds=0.9)).messages_spent == 399_999
    assert refill(budget, S1, evening + timedelta(seconds=1)).messages_spent == 0


def test_half_of_the_hub_refills_the_budget_half_as_fast() -> None:
    half = replace(S1, share=0.5)
    assert refill(Budget(at=NOON), half, at(1)).twin_reads == pytest.approx(50)


def test_a_slowed_budget_refills_more_slowly() -> None:
    assert refill(Budget(at=NOON, factor=0.5), S1, at(1)).twin_reads == pytest.approx(50)


@given(st.lists(st.floats(0, 60), min_size=1, max_size=20))
def test_ticks_never_get_more_than_the_quotas_of_the_elapsed_time(pauses: list[float]) -> None:
    budget, seconds, spent = refill(None, S1, NOON), 0.0, 0.0
    for pause in pauses:
        spent += max(0.0, budget.starts)
        budget = empty(budget)
        seconds += pause
        budget = refill(budget, S1, at(seconds))
    assert spent <= S1.starts * (seconds + SAVED_SECONDS) + 0.001


# -- emptying --------------------------------------------------------------------------------


def test_a_second_tick_at_the_same_time_gets_no_budget() -> None:
    second = refill(empty(refill(None, S1, NOON)), S1, NOON)
    assert (second.starts, second.twin_reads, second.queries) == (0, 0, 0)


def test_an_overspent_budget_stays_overspent_when_emptied() -> None:
    debt = Budget(at=NOON, starts=-7.0, twin_reads=3.0, queries=-1.0)
    assert empty(debt) == replace(debt, twin_reads=0.0)


# -- adapting --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hub_load", [HubLoad(methods=5, throttled=1), HubLoad(methods=5, seconds=SLOW_SECONDS + 0.01)]
)
def test_a_throttled_or_slow_hub_halves_the_speed(hub_load: HubLoad) -> None:
    assert adapt(Budget(at=NOON), hub_load).factor == 0.5


def test_a_call_at_the_limit_of_the_usual_duration_changes_nothing() -> None:
    assert adapt(Budget(at=NOON), HubLoad(methods=5, seconds=SLOW_SECONDS)).factor == 1


def test_each_tick_without_throttling_restores_a_tenth_of_the_speed() -> None:
    budget = Budget(at=NOON, factor=0.5)
    factors = []
    for _ in range(6):
        budget = adapt(budget, UNTHROTTLED)
        factors.append(budget.factor)
    assert factors == pytest.approx([0.6, 0.7, 0.8, 0.9, 1, 1])


def test_a_tick_without_methods_leaves_the_speed_unchanged() -> None:
    budget = Budget(at=NOON, factor=0.5)
    assert adapt(budget, HubLoad()) is budget


def test_the_speed_has_a_minimum() -> None:
    budget = Budget(at=NOON)
    for _ in range(20):
        budget = adapt(budget, HubLoad(throttled=3))
    assert budget.factor == SLOWEST


# -- a day that is used up -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("until", "of", "is_kept"),
    [(60, 400_000, True), (10, 400_000, False), (11, 400_000, True), (60, 8_000, False)],
)
def test_a_refusal_lasts_until_its_time_or_until_the_hub_has_another_size(
    until: float, of: float, *, is_kept: bool
) -> None:
    budget = Budget(at=NOON, refused_until=at(until), refused_of=of)
    found = refill(budget, S1, at(10))
    expected = (at(until), of) if is_kept else (None, 0.0)
    assert (found.refused_until, found.refused_of) == expected
    assert refill(Budget(at=NOON, refused_of=of), S1, at(10)).refused_of == of


def test_a_faster_hub_saves_up_fewer_seconds_of_its_own() -> None:
    fast = quotas(Tier.S1, 1, scale=10)
    full = fast.queries * SAVED_SECONDS / 10
    assert refill(None, fast, NOON).queries == pytest.approx(full)
    assert refill(Budget(at=NOON), fast, at(999)).queries == pytest.approx(full)


def test_a_slower_hub_and_a_share_add_less_each_second() -> None:
    half = replace(S1, share=0.5)
    found = refill(Budget(at=NOON, factor=0.25), half, at(2))
    assert found.starts == pytest.approx(2 * half.starts / 4)
    assert found.twin_reads == pytest.approx(2 * S1.twin_reads / 8)
    assert found.queries == pytest.approx(2 * S1.queries / 8)
