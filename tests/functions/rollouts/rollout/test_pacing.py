"""What the hub's quotas allow, and how what is left of them refills, empties and adapts."""

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
QUIET = HubLoad(methods=10, seconds=0.2)


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
def test_quotas_are_those_that_microsoft_documents(tier: Tier, units: int) -> None:
    limits = quotas(tier, units)
    methods, reads, updates, queries, messages = DOCUMENTED[tier, units]
    assert (limits.methods, limits.twin_reads, limits.twin_updates) == (methods, reads, updates)
    assert limits.queries * 60 == pytest.approx(queries)
    assert limits.messages_a_day == messages


def test_devices_start_as_fast_as_their_reports_or_the_methods_allow() -> None:
    assert S1.starts == pytest.approx(50 / REPORTS_PER_UPDATE)
    assert replace(S1, methods=10.0).starts == 10
    assert replace(S1, share=0.5).starts == pytest.approx(S1.starts / 2)


def test_a_stand_in_that_runs_faster_grants_more_a_second_and_no_more_a_day() -> None:
    fast = quotas(Tier.S1, 1, scale=10)
    assert fast.methods == 400
    assert fast.queries == pytest.approx(S1.queries * 10)
    assert fast.messages_a_day == S1.messages_a_day


def test_one_update_costs_its_method_its_answer_its_reports_and_two_looks() -> None:
    assert MESSAGES_PER_UPDATE == 7


# -- refilling -------------------------------------------------------------------------------


def test_the_first_tick_gets_what_can_be_saved() -> None:
    pace = refill(None, S1, NOON)
    assert pace.starts == pytest.approx(S1.starts * SAVED_SECONDS)
    assert pace.twin_reads == pytest.approx(1500)
    assert pace.queries == pytest.approx(5)


def test_what_was_left_is_kept_and_the_time_since_adds_to_it() -> None:
    pace = refill(Budget(at=NOON, starts=5.0, twin_reads=-20.0), S1, at(1))
    assert pace.at == at(1)
    assert pace.starts == pytest.approx(5 + S1.starts)
    assert pace.twin_reads == pytest.approx(80)


def test_what_was_spent_ahead_is_paid_back_first() -> None:
    assert refill(Budget(at=NOON, starts=-100.0), S1, at(1)).starts < 0


def test_an_hour_of_silence_saves_up_no_more_than_the_longest_pause_grants() -> None:
    pace = refill(Budget(at=NOON), S1, at(3600))
    assert pace.starts == pytest.approx(S1.starts * SAVED_SECONDS)
    assert pace.queries == pytest.approx(S1.queries * SAVED_SECONDS)


def test_even_the_slowest_pace_saves_up_for_one_query() -> None:
    slow = Budget(at=NOON, factor=SLOWEST)
    assert refill(slow, S1, at(3600)).queries == 1


def test_a_clock_that_went_back_takes_nothing_away() -> None:
    pace = Budget(at=at(60), starts=5.0)
    assert refill(pace, S1, NOON).starts == 5


def test_the_days_messages_begin_anew_at_midnight_utc() -> None:
    evening = at(12 * 3600 - 1)
    pace = Budget(at=evening, messages_spent=399_999.0)
    assert refill(pace, S1, evening + timedelta(seconds=0.9)).messages_spent == 399_999
    assert refill(pace, S1, evening + timedelta(seconds=1)).messages_spent == 0


def test_a_share_of_the_hub_refills_by_that_share() -> None:
    half = replace(S1, share=0.5)
    assert refill(Budget(at=NOON), half, at(1)).twin_reads == pytest.approx(50)


def test_a_slowed_pace_refills_slowly() -> None:
    assert refill(Budget(at=NOON, factor=0.5), S1, at(1)).twin_reads == pytest.approx(50)


@given(st.lists(st.floats(0, 60), min_size=1, max_size=20))
def test_ticks_at_any_distance_never_get_more_than_the_time_grants(pauses: list[float]) -> None:
    pace, seconds, spent = refill(None, S1, NOON), 0.0, 0.0
    for pause in pauses:
        spent += max(0.0, pace.starts)
        pace = empty(pace)
        seconds += pause
        pace = refill(pace, S1, at(seconds))
    assert spent <= S1.starts * (seconds + SAVED_SECONDS) + 0.001


# -- taken -----------------------------------------------------------------------------------


def test_a_second_timer_at_the_same_moment_finds_nothing() -> None:
    taken = refill(empty(refill(None, S1, NOON)), S1, NOON)
    assert (taken.starts, taken.twin_reads, taken.queries) == (0, 0, 0)


def test_emptying_forgives_no_debt() -> None:
    debt = Budget(at=NOON, starts=-7.0, twin_reads=3.0, queries=-1.0)
    assert empty(debt) == replace(debt, twin_reads=0.0)


# -- adapting --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "seen", [HubLoad(methods=5, throttled=1), HubLoad(methods=5, seconds=SLOW_SECONDS + 0.01)]
)
def test_a_hub_that_refuses_or_slows_down_halves_the_speed(seen: HubLoad) -> None:
    assert adapt(Budget(at=NOON), seen).factor == 0.5


def test_a_call_just_as_long_as_is_still_usual_slows_nothing_down() -> None:
    assert adapt(Budget(at=NOON), HubLoad(methods=5, seconds=SLOW_SECONDS)).factor == 1


def test_the_speed_comes_back_by_a_tenth_with_each_quiet_tick() -> None:
    pace = Budget(at=NOON, factor=0.5)
    factors = []
    for _ in range(6):
        pace = adapt(pace, QUIET)
        factors.append(pace.factor)
    assert factors == pytest.approx([0.6, 0.7, 0.8, 0.9, 1, 1])


def test_a_tick_without_methods_tells_nothing() -> None:
    pace = Budget(at=NOON, factor=0.5)
    assert adapt(pace, HubLoad()) is pace


def test_the_speed_never_falls_to_nothing() -> None:
    pace = Budget(at=NOON)
    for _ in range(20):
        pace = adapt(pace, HubLoad(throttled=3))
    assert pace.factor == SLOWEST
