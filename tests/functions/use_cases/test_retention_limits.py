"""Test at which age, in which order and within which time ended rollouts are removed."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.rollout_store.ports.retention import EndedRollout, TickWork
from functions.rollouts.model.rollback import RolledBack
from functions.rollouts.model.rollout import RolloutStatus
from functions.use_cases import retention
from functions.use_cases.retention import Allowance
from tests.functions.builders import make_rollout
from tests.functions.fragile import before
from tests.functions.use_cases.world import World

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
LENGTH = timedelta(days=400)


def make_world(length: timedelta | None = LENGTH) -> World:
    world = World([], still=True)
    world.services = replace(world.services, retention=length)
    return world


@pytest.fixture
def world() -> World:
    return make_world()


def add(
    world: World,
    age: timedelta,
    status: RolloutStatus = RolloutStatus.COMPLETED,
    **more: Any,
) -> str:
    """Store a rollout that ended `age` ago, or that was created then and is open."""
    rollout_id = world.services.new_id(world.now - age)
    ended_at = world.now - age if status is RolloutStatus.COMPLETED else None
    rollout = make_rollout(status=status, rollout_id=rollout_id, ended_at=ended_at, **more)
    world.stores.rollouts.add(rollout)
    return rollout_id


def remove(world: World, work: TickWork, seconds: float = 10) -> None:
    """Run the removals of a tick that begins `seconds` after the one before."""
    retention.remove_expired(world.services, TickWork())
    world.pass_time(seconds=seconds)
    retention.remove_expired(world.services, work)


def expired(*ids: str) -> list[EndedRollout]:
    return [EndedRollout(rollout_id, rollout_id) for rollout_id in ids]


def left(world: World, *ids: str) -> list[str]:
    return [item for item in ids if world.stores.rollouts.get(item) is not None]


def listed(world: World) -> list[str]:
    return [item.id for item in retention.list_work(world.services).expired]


def test_only_rollouts_that_ended_before_the_retention_time_are_listed(world: World) -> None:
    old = add(world, LENGTH + SECOND)
    add(world, LENGTH - SECOND)
    assert listed(world) == [old]
    world.services = replace(world.services, retention=None)
    assert listed(world) == []


@pytest.mark.parametrize(("age", "stays"), [(LENGTH, True), (LENGTH + SECOND, False)])
def test_a_rollout_that_has_ended_again_since_it_was_listed_stays(
    world: World, age: timedelta, stays: bool
) -> None:
    rollout_id = add(world, age)
    world.pass_time(seconds=-10)
    remove(world, TickWork(expired=expired(rollout_id)))
    assert bool(left(world, rollout_id)) is stays
    world.pass_time(days=500)
    assert rollout_id not in listed(world)


def test_an_open_or_followed_rollout_is_not_removed_and_leaves_the_list(world: World) -> None:
    reopened = add(world, LENGTH + DAY, RolloutStatus.RUNNING)
    followed = add(world, LENGTH + DAY)
    snapshot = world.stores.rollouts.get(followed)
    assert snapshot is not None
    (summary,) = snapshot.rollout.block_summaries
    due = replace(snapshot.rollout, block_summaries=(replace(summary, due_at=world.now),))
    world.stores.rollouts.save(snapshot, due)
    remove(world, TickWork(expired=expired(reopened, followed)))
    assert left(world, reopened, followed) == [reopened, followed]
    assert listed(world) == []


@pytest.mark.parametrize(("length", "pause"), [(LENGTH, DAY), (timedelta(hours=1), DAY / 24)])
def test_a_rollout_that_waits_for_an_older_one_is_considered_again_a_day_later(
    length: timedelta, pause: timedelta
) -> None:
    world = make_world(length)
    older = add(world, length + 2 * DAY, RolloutStatus.PAUSED)
    later = add(world, length + DAY)
    remove(world, TickWork(open_ids=[older], expired=expired(later)))
    assert left(world, later) == [later]
    world.clock.now += pause - SECOND
    assert listed(world) == []
    world.clock.now += 2 * SECOND
    assert listed(world) == [later]


def test_a_rollout_that_an_earlier_release_left_among_the_open_ones_is_removed(
    world: World,
) -> None:
    rollout_id = add(world, LENGTH + DAY)
    remove(world, TickWork(misplaced_ids=[rollout_id], expired=expired(rollout_id)))
    assert left(world, rollout_id) == []


def test_older_rollouts_are_removed_first_so_that_no_later_one_waits(world: World) -> None:
    later, older = add(world, LENGTH + DAY), add(world, LENGTH + 2 * DAY)
    remove(world, TickWork(expired=expired(later, older)))
    assert left(world, later, older) == []


@pytest.mark.parametrize("is_open", [True, False])
def test_a_rollout_stays_as_long_as_what_undoes_it_is_open(world: World, is_open: bool) -> None:
    undoing = add(world, DAY, RolloutStatus.RUNNING)
    rollout_id = add(world, LENGTH + DAY, rollback=RolledBack(undoing))
    work = TickWork(open_ids=[undoing] if is_open else [], expired=expired(rollout_id))
    remove(world, work)
    assert bool(left(world, rollout_id)) is is_open


def test_a_rollout_that_changes_right_before_its_removal_stays(world: World) -> None:
    rollout_id = add(world, LENGTH + DAY)
    snapshot = world.stores.rollouts.get(rollout_id)
    assert snapshot is not None

    def change() -> None:
        world.stores.rollouts.save(snapshot, replace(snapshot.rollout, revision=9))

    with before(world.stores.retention, "remove", change):
        remove(world, TickWork(expired=expired(rollout_id)))
    assert left(world, rollout_id) == [rollout_id]


def test_a_rollout_that_is_being_created_again_keeps_its_history(world: World) -> None:
    rollout_id = world.services.new_id(world.now - LENGTH - DAY)
    world.stores.targets.save_history(rollout_id, {"d-000": 0})
    remove(world, TickWork(open_ids=[rollout_id], expired=expired(rollout_id)))
    assert world.stores.targets.get_block_numbers(rollout_id) == {"d-000": 0}
    remove(world, TickWork(expired=expired(rollout_id)))
    assert world.stores.targets.get_block_numbers(rollout_id) == {}


@pytest.mark.parametrize(("seconds", "closes"), [(10, True), (1, False)])
def test_ended_rollouts_are_listed_as_closed_as_far_as_the_time_allows(
    world: World, seconds: float, closes: bool
) -> None:
    ended, running = add(world, DAY), add(world, DAY, RolloutStatus.RUNNING)
    store: Any = world.stores.rollouts
    save, saved = store.save, []

    def recorded(snapshot: Any, rollout: Any) -> Any:
        saved.append(rollout.id)
        return save(snapshot, rollout)

    store.save = recorded
    slow_gets(world)
    remove(world, TickWork(misplaced_ids=[running, ended, "unknown"]), seconds)
    assert saved == ([ended] if closes else [])


def slow_gets(world: World) -> None:
    """Let each read of a rollout take 0.3 s."""
    store: Any = world.stores.rollouts
    get = store.get

    def slow(rollout_id: str) -> Any:
        world.pass_time(seconds=0.3)
        return get(rollout_id)

    store.get = slow


def test_a_long_pause_between_two_ticks_leaves_one_second_for_removals(world: World) -> None:
    ids = [add(world, LENGTH + DAY + number * SECOND) for number in range(10)]
    slow_gets(world)
    work, began = TickWork(expired=expired(*ids)), world.now
    remove(world, work, seconds=3_600)
    assert SECOND / 2 < world.now - began - timedelta(hours=1) <= SECOND


def test_a_step_begins_if_twice_the_longest_one_fits(world: World) -> None:
    allowance = Allowance(world.services, SECOND, world.now, world.now)
    has_room = []
    for seconds in (0.1, 0.2, 0.1, 0.2, 0.001):
        world.pass_time(seconds=seconds)
        has_room.append(allowance.has_room())
    assert has_room == [True, True, True, True, False]
    assert allowance.longest == SECOND / 5


@pytest.mark.parametrize(
    ("length", "age", "expected"),
    [
        (LENGTH, LENGTH, False),
        (LENGTH, LENGTH + SECOND, True),
        (DAY, 7 * DAY, False),
        (DAY, 7 * DAY + SECOND, True),
        (None, 9_000 * DAY, False),
    ],
)
def test_a_creation_that_crashed_is_listed_after_the_retention_time_or_seven_days(
    length: timedelta | None, age: timedelta, expected: bool
) -> None:
    world = make_world(length)
    rollout_id = world.services.new_id(world.now - age)
    calls: list[Any] = []
    store: Any = world.stores.retention
    store.abandon = lambda *arguments: calls.append(arguments)
    retention.abandon(world.services, rollout_id)
    limit = world.now - max(length or DAY, 7 * DAY)
    assert calls == ([(rollout_id, limit)] if expected else [])
