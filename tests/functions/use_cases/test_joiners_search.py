"""How late joiners are searched: what it costs, and how it goes on after a refusal."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.hub_gateway.port import ConditionError
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import (
    Strategy,
)
from functions.rollouts.rollout import joiners
from functions.use_cases import plan
from tests.functions.use_cases.joiner_worlds import CANARY, MINUTE, make, slow_fleet
from tests.functions.use_cases.world import World, device, devices


def test_a_search_costs_one_query_a_minute_and_large_ones_at_most_a_tenth_of_the_quota() -> None:
    for count, expected in ((40, 10), (1_000, 20)):
        world = World(devices(count, stage=5_000, online=False), quotas(Tier.S1, 1))
        rollout_id = make(world)
        pages: list[str | None] = []
        query = world.hub.query_matching
        world.hub.query_matching = lambda *given, q=query, p=pages: (  # type: ignore[method-assign]
            p.append(given[2]),
            q(*given),
        )[1]
        world.ticks(2)
        pages.clear()
        world.ticks(10 * MINUTE)
        assert expected - 2 <= len(pages) <= expected, (count, pages)
        assert world.rollout(rollout_id).joining.checked_at is not None or count == 1_000


def test_a_search_of_many_pages_goes_on_from_its_cursor_and_is_complete_at_its_end() -> None:
    world = World(devices(450, stage=400))
    rollout_id = make(world, Strategy())
    world.ticks(2)
    world.hub.register(device("late"))
    seen: list[str | None] = []
    while world.rollout(rollout_id).joining.checked_at is None:
        seen.append(world.rollout(rollout_id).joining.cursor)
        world.ticks(1)
    assert [item for item in dict.fromkeys(seen) if item] == ["100", "200", "300", "400"]
    assert world.rollout(rollout_id).total == 451


def test_a_cursor_that_the_hub_refuses_begins_the_search_again() -> None:
    world = World(devices(150, stage=400))
    rollout_id = make(world, Strategy())
    query, refused = world.hub.query_matching, list[str]()

    def refuse_once(condition: str, paths: Any, cursor: str | None) -> Any:
        if cursor == "100" and not refused:
            refused.append(cursor)
            raise ConditionError("The continuation token has expired.")
        return query(condition, paths, cursor)

    world.ticks(2)
    world.hub.query_matching = refuse_once  # type: ignore[method-assign]
    world.hub.register(device("late"))
    world.ticks(3 * MINUTE)
    assert refused
    assert world.rollout(rollout_id).total == 151


def test_a_rollout_goes_on_while_the_hub_refuses_the_condition(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = slow_fleet()
    rollout_id = make(world)

    def refuse(*_: Any) -> Any:
        raise ConditionError("bad query")

    world.hub.query_matching = refuse  # type: ignore[assignment, method-assign]
    over = world.until_over(rollout_id)
    assert (over.status, over.counts.completed) == (RolloutStatus.COMPLETED, 3)
    assert 5 <= caplog.text.count("the search for joiners begins again") <= 40


def test_a_plan_says_that_devices_join_and_what_the_search_costs() -> None:
    world = World(devices(250), quotas(Tier.S1, 1))
    request = replace(world.request(strategy=CANARY), device_ids=(), condition="c", joiners=True)
    planned = plan.plan(world.services, request)
    (warning,) = [item for item in planned.warnings if item.code == "joiners"]
    assert warning.count == 250
    assert "join wave rest" in warning.message
    assert "3 queries of the hub's quota, at most every 1 min 30 s" in warning.message
    without = plan.plan(world.services, replace(request, joiners=False))
    assert without.plan_hash != planned.plan_hash
    assert "joiners" not in {item.code for item in without.warnings}


def test_the_interval_follows_the_hub_and_never_falls_below_a_minute() -> None:
    small, large = quotas(Tier.S1, 1), quotas(Tier.S3, 1)
    assert joiners.expected_search(small, 1) == timedelta(minutes=1)
    assert joiners.expected_search(small, 100) == timedelta(minutes=50)
    assert joiners.expected_search(large, 100) == timedelta(minutes=1)
    assert joiners.search_interval(replace(small, scale=60)) == timedelta(seconds=1)
