"""Test what a tick may spend, and what its calls take of that."""

from dataclasses import replace
from typing import Any

import pytest

from functions.rollouts.model.quotas import Budget, Tier, quotas
from functions.rollouts.model.usage import MessageCosts, Usage
from functions.rollouts.rollout.daily_quota import DayLeft, update_cost
from functions.use_cases.tick_budget import TickBudget, can_save_batch
from tests.functions.builders import NOON, at, make_rollout

LIMITS = quotas(Tier.S1, 1)
DAY = LIMITS.daily_messages
COSTS = MessageCosts(method=4.0, twin=2.0)
ROLLOUT = make_rollout()
COST = update_cost(ROLLOUT, COSTS)


def budget(**values: Any) -> TickBudget:
    known = {"starts": 20.0, "twin_reads": 30.0, "queries": 5.0, "messages_left": 1_000.0}
    return TickBudget(**{**known, "costs": COSTS, **values})


@pytest.mark.parametrize(
    ("spent", "refused", "left"),
    [(100, False, DAY - 100), (DAY + 50, False, -50), (100, True, 0), (DAY + 50, True, -50)],
)
def test_a_tick_may_spend_what_is_stored_and_no_message_of_a_day_that_is_used_up(
    spent: float, refused: bool, left: float
) -> None:
    until = at(60) if refused else None
    stored = Budget(
        at=NOON,
        starts=1,
        twin_reads=2,
        queries=3,
        messages_spent=spent,
        reserved=4,
        costs=COSTS,
        refused_until=until,
    )
    assert TickBudget.from_stored(stored, LIMITS) == TickBudget(
        1, 2, 3, left, reserved=4, costs=COSTS, refused_until=until, needed=0.0
    )


def test_a_share_is_taken_and_what_remains_of_it_is_given_back() -> None:
    whole = budget(reserved=100.0, needed=7.0)
    share = whole.take_share(0.25)
    assert (share.starts, share.twin_reads, share.queries) == (5, 7.5, 1.25)
    assert (whole.starts, whole.twin_reads, whole.queries) == (15, 22.5, 3.75)
    assert (share.messages_left, share.reserved, share.needed) == (1_000, 100, 7)
    share.starts, share.twin_reads, share.queries = 1, 2, 0.5
    share.messages_left, share.reserved, share.needed = 900, 150, 9
    whole.give_back(share)
    assert whole == budget(
        starts=16, twin_reads=24.5, queries=4.25, messages_left=900, reserved=150, needed=9
    )


@pytest.mark.parametrize(
    ("left", "starts"), [(1_000, 20), (50 + 3 * COST, 3), (50, 0), (0, 0), (-10, 0)]
)
def test_devices_start_within_the_rates_and_the_messages_that_are_not_reserved(
    left: float, starts: float
) -> None:
    assert budget(messages_left=left, reserved=50.0).max_starts(ROLLOUT) == pytest.approx(starts)


@pytest.mark.parametrize(
    ("left", "under_way", "others"),
    [(51, True, True), (50, True, False), (1, True, False), (0, False, False)],
)
def test_reserved_messages_are_for_devices_under_way(
    left: float, under_way: bool, others: bool
) -> None:
    spent = budget(messages_left=left, reserved=50.0)
    assert spent.may_observe(under_way=True) is under_way
    assert spent.may_observe(under_way=False) is others


@pytest.mark.parametrize(
    ("wanted", "reads", "left", "taken"),
    [
        (7, 30, 1_000, 7),
        (7, 2.9, 1_000, 2),
        (7, 30, 9, 4),  # a twin costs two messages
        (7, -1, 1_000, 0),
        (7, 30, -2, 0),
        (0, 30, 1_000, 0),
    ],
)
def test_twins_are_read_within_the_rate_and_the_messages(
    wanted: int, reads: float, left: float, taken: int
) -> None:
    spent = budget(twin_reads=reads, messages_left=left)
    assert spent.take_reads(wanted) == taken
    assert (spent.twin_reads, spent.messages_left) == (reads - taken, left - 2 * taken)


@pytest.mark.parametrize(
    ("rows", "twins", "cost"), [(0, 0, 1), (40, 0, 1), (100, 0, 2.5), (100, 10, 20), (100, 1, 2.5)]
)
def test_a_query_costs_the_messages_of_its_rows_or_twins(
    rows: int, twins: int, cost: float
) -> None:
    spent, more = budget(queries=1.5), {"twins": twins} if twins else {}
    assert spent.take_query(rows, **more)
    assert (spent.queries, spent.messages_left) == (0.5, 1_000 - cost)
    assert not spent.take_query(rows, **more)
    assert (spent.queries, spent.messages_left) == (0.5, 1_000 - cost)


@pytest.mark.parametrize(
    ("queries", "left", "twins", "expected"),
    [(1, 51, 0, True), (0.9, 51, 0, False), (1, 50, 0, False), (1, 50, 1, True), (1, 0, 1, False)],
)
def test_a_query_is_made_if_one_is_left_and_a_message_that_is_not_reserved(
    queries: float, left: float, twins: int, expected: bool
) -> None:
    spent = budget(queries=queries, messages_left=left, reserved=50.0)
    assert spent.take_query(10, twins=twins) is expected


@pytest.mark.parametrize(
    ("devices", "single", "reads", "queries"),
    [(10, False, 10, 0), (11, False, 0, 1), (11, True, 11, 0)],
)
def test_a_batch_reads_up_to_ten_twins_one_by_one_and_queries_more(
    devices: int, single: bool, reads: float, queries: float
) -> None:
    spent = budget(reserved=50.0)
    if single:
        spent.deduct_batch(ROLLOUT, devices, single=True)
    else:
        spent.deduct_batch(ROLLOUT, devices)
    assert spent == budget(
        starts=20 - devices,
        twin_reads=30 - reads,
        queries=5 - queries,
        reserved=50 + devices * COST,
    )


def test_what_is_left_is_stored_with_what_calls_have_used() -> None:
    before = Budget(at=NOON, factor=0.5, messages_spent=10, reserved=99, costs=COSTS)
    usage = Usage(methods=100, method_messages=600, twins=100, twin_messages=300, extra_pages=2)
    after = budget(needed=8.0).to_stored(before, LIMITS, usage, NOON)
    assert after == Budget(
        at=NOON,
        factor=0.5,
        starts=20,
        twin_reads=30,
        queries=3,
        messages_spent=910,
        reserved=8,
        costs=MessageCosts(method=6.0, twin=3.0),
    )
    refused = budget().to_stored(before, LIMITS, Usage(refusals=1), NOON)
    assert refused.refused_until == LIMITS.calls_resume_at(NOON)


def test_the_day_has_what_is_left_of_the_budget() -> None:
    spent = budget(reserved=3.0, refused_until=at(60))
    assert spent.day == DayLeft(left=1_000, reserved=3, refused_until=at(60), costs=COSTS)


@pytest.mark.parametrize(
    ("factor", "scale", "batch"), [(1.0, 1.0, 300), (0.5, 1.0, 150), (1.0, 2.0, 150)]
)
def test_a_batch_is_not_cut_if_15_seconds_of_the_rate_are_enough(
    factor: float, scale: float, batch: int
) -> None:
    limits = replace(LIMITS, twin_updates=60.0, scale=scale)
    assert limits.starts == 20
    stored = Budget(at=NOON, factor=factor)
    assert can_save_batch(stored, limits, batch)
    assert not can_save_batch(stored, limits, batch + 1)
