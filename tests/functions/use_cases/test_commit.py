"""Test changes of a rollout that lose races."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from functions.errors import LostRaceError, UnknownError
from functions.rollout_store.ports.rollouts import MAX_EVENTS_IN_ROLLOUT, Snapshot
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout.operator_commands import Caller, pause, resume
from functions.use_cases import commands
from functions.use_cases.commit import MAX_ATTEMPTS, Change, commit
from tests.functions.use_cases.world import World, devices

ADA = Caller("ada")


def read(world: World, rollout_id: str, *blocks: int) -> Snapshot:
    snapshot = world.stores.rollouts.get(rollout_id)
    assert snapshot is not None
    return world.stores.rollouts.get_blocks(snapshot, blocks)


def change_explanation(block: Block, word: str) -> Block:
    """Change a block without changing a device's state."""
    first, *others = block.updates
    return Block(block.number, (first._replace(explanation=word), *others))


def make_decision(number: int, word: str) -> Callable[[Moment, Snapshot], Change]:
    def decide(_: Moment, stored: Snapshot) -> Change:
        return Change(stored.rollout, {number: change_explanation(stored.blocks[number], word)})

    return decide


def add_note(moment: Moment, stored: Snapshot) -> Change:
    return Change(add_event(stored.rollout, moment.now, "changed", "A line."))


def record_calls(world: World, name: str) -> list[Any]:
    """Record the arguments of each later call of this method of the store."""
    store: Any = world.stores.rollouts
    method, calls = getattr(store, name), []

    def call(*arguments: Any) -> Any:
        calls.append(arguments)
        return method(*arguments)

    setattr(store, name, call)
    return calls


def lose_races(world: World, times: int, meanwhile: Callable[[], object]) -> list[Any]:
    """Run `meanwhile` before each of the next `times` saves, so that they lose the race.

    Return the arguments of all attempts to save.
    """
    store: Any = world.stores.rollouts
    save, attempts = store.save, []

    def racing(*arguments: Any) -> Any:
        attempts.append(arguments)
        if len(attempts) <= times:
            store.save = save
            meanwhile()
            store.save = racing
        return save(*arguments)

    store.save = racing
    return attempts


def test_after_a_lost_race_the_decision_is_made_again_on_the_stored_rollout() -> None:
    world = World(devices(20))
    rollout_id = world.create().rollout.id
    wanted = iter([pause, resume, pause])
    attempts = lose_races(
        world, 3, lambda: commands.run_command(world.services, rollout_id, next(wanted), ADA)
    )
    stored = commit(world.services, read(world, rollout_id), add_note)
    assert len(attempts) == 4
    assert [event.action for event in stored.rollout.audit.events] == [
        "created",
        "started",
        "paused",
        "resumed",
        "paused",
        "changed",
    ]
    assert world.rollout(rollout_id) == stored.rollout


def test_a_change_that_loses_every_race_gives_up_after_the_maximum_of_attempts() -> None:
    world = World(devices(20))
    rollout_id = world.create().rollout.id
    pauses: list[float] = []
    services = replace(world.services, sleep=pauses.append, jitter=lambda: 1.0)
    before = world.rollout(rollout_id)
    store: Any = world.stores.rollouts
    attempts: list[int] = []

    def lose(*_: Any) -> Any:
        attempts.append(1)
        raise LostRaceError("always")

    store.save = lose
    with pytest.raises(LostRaceError, match=rollout_id):
        commit(services, read(world, rollout_id), add_note)
    assert len(attempts) == MAX_ATTEMPTS
    assert len(pauses) == MAX_ATTEMPTS - 1
    assert pauses[:3] == pytest.approx([0.005, 0.01, 0.015])
    assert max(pauses) == pauses[-1] == 0.2
    assert world.rollout(rollout_id) == before


def test_a_decision_that_changes_nothing_writes_nothing() -> None:
    world = World(devices(20))
    rollout_id = world.create().rollout.id
    saves = record_calls(world, "save")
    snapshot = read(world, rollout_id, 0)
    assert commit(world.services, snapshot, lambda _at, _stored: None) is snapshot
    assert commit(world.services, snapshot, lambda _at, now: Change(now.rollout)) is snapshot
    assert saves == []


def test_each_write_increases_the_revision_of_the_rollout_and_of_its_changed_blocks() -> None:
    world = World(devices(250))
    rollout_id = world.create().rollout.id
    before = world.rollout(rollout_id)
    stored = commit(world.services, read(world, rollout_id), make_decision(1, "word"), [1])
    assert stored.rollout.revision == before.revision + 1
    revisions = [summary.revision for summary in stored.rollout.block_summaries]
    assert revisions == [
        before.block_summaries[0].revision,
        stored.rollout.revision,
        before.block_summaries[2].revision,
    ]


def test_after_a_lost_race_only_changed_blocks_are_read_again() -> None:
    world = World(devices(250))
    rollout_id = world.create().rollout.id
    snapshot = read(world, rollout_id, 0, 1)

    def other() -> None:
        commit(world.services, read(world, rollout_id), make_decision(1, "theirs"), [1])

    lose_races(world, 1, other)
    reads = record_calls(world, "get_blocks")
    seen: list[Sequence[Block]] = []

    def decide(_: Moment, stored: Snapshot) -> Change:
        seen.append([stored.blocks[0], stored.blocks[1]])
        return Change(stored.rollout, {0: change_explanation(stored.blocks[0], "mine")})

    commit(world.services, snapshot, decide, [0, 1])
    assert [list(numbers) for _, numbers in reads[-1:]] == [[1]]
    assert [block.updates[0].explanation for block in seen[-1]] == [None, "theirs"]
    firsts = [
        block.updates[0].explanation for block in read(world, rollout_id, 0, 1).blocks.values()
    ]
    assert firsts == ["mine", "theirs"]


def test_an_early_read_does_not_undo_the_outcomes_of_a_request() -> None:
    """Read the claims, which the request stores with the rollout, before their outcomes."""
    world = World(devices(3))
    patched: Any = world.hub
    invoke = world.hub.invoke_all
    early: list[Snapshot] = []

    def read_first(*arguments: Any) -> Any:
        (rollout_id,) = world.stores.rollouts.list_open_ids()
        early.append(read(world, rollout_id, 0))
        return invoke(*arguments)

    patched.invoke_all = read_first
    rollout_id = world.create().rollout.id
    assert early[0].blocks[0].updates[0].state is DeviceState.DISPATCHING
    commit(world.services, early[0], make_decision(0, "late"), [0])
    assert {item.state for item in world.updates(rollout_id)} == {DeviceState.ACCEPTED}
    assert world.until_over(rollout_id).counts.completed == 3


def test_a_change_of_an_unknown_rollout_is_an_unknown_error() -> None:
    world = World(devices(3))
    snapshot = read(world, world.create().rollout.id)
    gone: Rollout = replace(snapshot.rollout, id="gone")
    with pytest.raises(UnknownError):
        commit(world.services, replace(snapshot, rollout=gone), add_note)


def test_events_that_the_record_has_no_room_for_are_kept_apart() -> None:
    world = World(devices(3))
    rollout_id = world.create().rollout.id
    for _ in range(2 * MAX_EVENTS_IN_ROLLOUT):
        commit(world.services, read(world, rollout_id), add_note)
    rollout = world.rollout(rollout_id)
    assert len(rollout.audit.events) <= MAX_EVENTS_IN_ROLLOUT
    listed = world.stores.rollouts.list_events(read(world, rollout_id), 1_000, None).items
    assert len(listed) == rollout.audit.event_count >= 2 * MAX_EVENTS_IN_ROLLOUT
