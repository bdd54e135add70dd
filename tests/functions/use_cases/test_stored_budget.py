"""Test that one tick takes the stored budget, and over which time it spreads its batches."""

from dataclasses import replace

import pytest

from functions.rollouts.model.freeze import Freeze
from functions.use_cases.stored_budget import TakenBudget, store_budget, take_budget
from tests.functions.fragile import before
from tests.functions.use_cases.world import World


@pytest.fixture
def world() -> World:
    return World([], still=True)


def take(world: World) -> TakenBudget:
    taken = take_budget(world.services)
    assert taken is not None
    return taken


@pytest.mark.parametrize(("pause", "spread"), [(4, 4), (10, 10), (60, 10)])
def test_batches_are_spread_over_the_time_since_the_last_tick_at_most_ten_seconds(
    world: World, pause: float, spread: float
) -> None:
    assert take(world).spread_seconds == 10
    world.pass_time(seconds=pause)
    assert take(world).spread_seconds == spread


def test_a_tick_takes_the_whole_budget_and_stores_what_it_leaves(world: World) -> None:
    taken = take(world)
    assert taken.budget.starts > 1
    stored = world.stores.budget.get()
    assert stored is not None
    assert (stored.version, stored.record.starts) == (taken.version, 0)
    rest = replace(taken.budget, starts=1.0)
    assert store_budget(world.services, rest, taken.version)
    again = world.stores.budget.get()
    assert again is not None
    assert again.record == rest


def test_a_tick_gets_what_the_time_since_the_last_one_has_added(world: World) -> None:
    take(world)
    world.pass_time(seconds=4)
    assert take(world).budget.starts == pytest.approx(4 * world.services.limits.starts)


def test_a_tick_reads_the_freeze_with_its_budget(world: World) -> None:
    assert take(world).freeze is None
    freeze = Freeze(revision=1, reason="holidays", by="ada", since=world.now)
    world.stores.freezes.save(freeze, None)
    assert take(world).freeze == freeze


def test_a_tick_that_another_one_overtakes_takes_and_stores_nothing(world: World) -> None:
    first = take(world)
    world.pass_time(seconds=10)
    with before(world.stores.budget, "save", lambda: take(world)):
        assert take_budget(world.services) is None
    assert not store_budget(world.services, first.budget, first.version)
