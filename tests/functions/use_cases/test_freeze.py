"""Test which freeze is stored, and which rollouts and devices it concerns."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.errors import ConflictError, InvalidError, LostRaceError, UnknownError
from functions.rollouts.model.freeze import Freeze, NewFreeze
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import freeze
from functions.use_cases.freeze import MAX_ATTEMPTS, find_frozen, remove_freeze, set_freeze
from tests.cases.steps import ADA
from tests.functions.builders import make_rollout
from tests.functions.fragile import before
from tests.functions.use_cases.world import NOON, World, devices

NEW = NewFreeze(reason="incident 4711")
CONDITION = "tags.site = 'berlin'"


@pytest.fixture
def world() -> World:
    return World(devices(3), still=True)


def enter(world: World, **fields: Any) -> tuple[Freeze, Freeze | None]:
    return set_freeze(world.services, replace(NEW, **fields), ADA)


def test_a_freeze_replaces_another_one_only_while_that_is_in_force(world: World) -> None:
    first, replaced = enter(world)
    assert (first.revision, replaced) == (1, None)
    second, replaced = enter(world, until=NOON + timedelta(hours=1))
    assert (second.revision, replaced) == (2, first)
    world.pass_time(hours=1)
    third, replaced = enter(world)
    assert (third.revision, replaced) == (3, None)
    removed = remove_freeze(world.services, ADA)
    assert removed.revision == 4
    last, replaced = enter(world)
    assert (last.revision, replaced) == (5, None)


def test_a_freeze_ends_after_now(world: World) -> None:
    with pytest.raises(InvalidError, match="would end at once"):
        enter(world, until=NOON)
    made, _ = enter(world, until=NOON + timedelta(seconds=1))
    assert (made.since, made.by, made.until) == (NOON, "ada", NOON + timedelta(seconds=1))
    world.pass_time(seconds=1)
    with pytest.raises(UnknownError):
        remove_freeze(world.services, ADA)


def test_a_caller_may_say_that_no_freeze_was_set(world: World) -> None:
    with pytest.raises(ConflictError, match="revision 0, not 1"):
        enter(world, revision=1)
    assert enter(world, revision=0)[0].revision == 1
    with pytest.raises(ConflictError, match="revision 1, not 0"):
        enter(world, revision=0)


def test_the_end_of_a_freeze_keeps_who_removed_it_when_and_why(world: World) -> None:
    enter(world)
    world.pass_time(minutes=5)
    removed = remove_freeze(world.services, Caller("bob", "all clear"))
    assert (removed.by, removed.ended_by, removed.ended_reason) == ("ada", "bob", "all clear")
    assert removed.ended_at == world.now
    assert freeze.read_latest(world.services) == removed


def test_a_condition_that_matches_no_device_is_refused(world: World) -> None:
    world.hub.unmatched = set(world.hub.devices)
    with pytest.raises(InvalidError) as caught:
        enter(world, condition=CONDITION)
    (field,) = caught.value.fields
    assert (field.pointer, field.detail) == ("/condition", "no device matches it")


def test_a_freeze_that_another_request_sets_first_is_replaced(world: World) -> None:
    with before(world.stores.freezes, "save", lambda: enter(world, reason="theirs")):
        made, replaced = enter(world)
    assert made.revision == 2
    assert replaced is not None
    assert replaced.reason == "theirs"


def test_a_freeze_that_loses_every_race_is_given_up(world: World) -> None:
    store: Any = world.stores.freezes
    attempts = list[int]()

    def lose(*_: Any) -> None:
        attempts.append(1)
        raise LostRaceError("always")

    store.save = lose
    with pytest.raises(LostRaceError, match="10 times in a row"):
        enter(world)
    assert len(attempts) == MAX_ATTEMPTS


def test_the_hub_is_read_only_while_a_freeze_of_some_devices_is_in_force(world: World) -> None:
    frozen, _ = enter(world, condition=CONDITION, until=NOON + timedelta(hours=1))
    world.hub.matching = {"d-001"}
    names = list(world.hub.devices)
    queries = world.hub.operations.queries

    def find(known: Freeze | None, *device_ids: str) -> frozenset[str]:
        return find_frozen(world.services, make_rollout(freeze=known), device_ids)

    assert find(None, *names) == find(replace(frozen, condition=None), *names) == frozenset()
    assert find(frozen) == frozenset()
    assert world.hub.operations.queries == queries
    assert find(frozen, *names) == {"d-001"}
    world.pass_time(hours=1)
    assert find(frozen, *names) == frozenset()


def test_a_batch_queries_the_condition_of_a_freeze_once() -> None:
    world = World(devices(20), still=True)
    world.hub.matching = {"d-001"}
    enter(world, condition=CONDITION)
    world.create()
    hub: Any = world.hub
    find_matching, queried = hub.find_matching, list[str]()

    def record(condition: str, device_ids: Any) -> Any:
        queried.append(condition)
        return find_matching(condition, device_ids)

    hub.find_matching = record
    (batch,) = world.advance()
    queried.clear()
    world.dispatch(batch)
    assert queried == [CONDITION]
