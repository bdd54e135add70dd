"""The one way in which a rollout changes, under races."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from functions.errors import LostRaceError, UnknownError
from functions.rollout_store.ports.rollouts import Snapshot
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


def explained(block: Block, word: str) -> Block:
    """The block, changed in a way that moves no device."""
    first, *others = block.updates
    return Block(block.number, (first._replace(explanation=word), *others))


def rewritten(number: int, word: str) -> Callable[[Moment, Snapshot], Change]:
    def decide(_: Moment, stored: Snapshot) -> Change:
        return Change(stored.rollout, {number: explained(stored.blocks[number], word)})

    return decide


def note(moment: Moment, stored: Snapshot) -> Change:
    return Change(add_event(stored.rollout, moment.now, "tested", "A line."))


def counting(world: World, name: str) -> list[Any]:
    """The arguments of each call of this method of the store, from now on."""
    store: Any = world.stores.rollouts
    method, calls = getattr(store, name), []

    def call(*arguments: Any) -> Any:
        calls.append(arguments)
        return method(*arguments)

    setattr(store, name, call)
    return calls


def losing(world: World, times: int, meanwhile: Callable[[], object]) -> list[Any]:
    """So many saves come too late, as somebody else's came before; gives the tries."""
    store: Any = world.stores.rollouts
    save, tries = store.save, []

    def racing(*arguments: Any) -> Any:
        tries.append(arguments)
        if len(tries) <= times:
            store.save = save
            meanwhile()
            store.save = racing
        return save(*arguments)

    store.save = racing
    return tries


def test_a_lost_race_is_run_again_on_what_is_stored_then() -> None:
    world = World(devices(20))
    rollout_id = world.create().rollout.id
    wanted = iter([pause, resume, pause])
    tries = losing(
        world, 3, lambda: commands.run_command(world.services, rollout_id, next(wanted), ADA)
    )
    stored = commit(world.services, read(world, rollout_id), note)
    assert len(tries) == 4
    assert [event.action for event in stored.rollout.audit.events] == [
        "created",
        "started",
        "paused",
        "resumed",
        "paused",
        "tested",
    ]
    assert world.rollout(rollout_id) == stored.rollout


def test_a_change_that_loses_every_race_gives_up_after_very_many_and_says_so() -> None:
    world = World(devices(20))
    rollout_id = world.create().rollout.id
    naps: list[float] = []
    services = replace(world.services, sleep=naps.append)
    before = world.rollout(rollout_id)
    store: Any = world.stores.rollouts
    tries: list[int] = []

    def lose(*_: Any) -> Any:
        tries.append(1)
        raise LostRaceError("always")

    store.save = lose
    with pytest.raises(LostRaceError, match=rollout_id):
        commit(services, read(world, rollout_id), note)
    assert len(tries) == MAX_ATTEMPTS
    assert len(naps) == MAX_ATTEMPTS - 1
    assert 0 < sum(naps) < 15
    assert world.rollout(rollout_id) == before


def test_a_decision_that_wants_nothing_writes_nothing() -> None:
    world = World(devices(20))
    rollout_id = world.create().rollout.id
    saves = counting(world, "save")
    snapshot = read(world, rollout_id, 0)
    assert commit(world.services, snapshot, lambda _at, _stored: None) is snapshot
    assert commit(world.services, snapshot, lambda _at, now: Change(now.rollout)) is snapshot
    assert saves == []


def test_each_write_counts_the_rollout_on_and_marks_its_blocks_with_that() -> None:
    world = World(devices(250))
    rollout_id = world.create().rollout.id
    before = world.rollout(rollout_id)
    stored = commit(world.services, read(world, rollout_id), rewritten(1, "word"), [1])
    assert stored.rollout.revision == before.revision + 1
    marks = [mark.revision for mark in stored.rollout.block_summaries]
    assert marks == [
        before.block_summaries[0].revision,
        stored.rollout.revision,
        before.block_summaries[2].revision,
    ]


def test_after_a_lost_race_only_blocks_that_somebody_wrote_are_read_again() -> None:
    world = World(devices(250))
    rollout_id = world.create().rollout.id
    snapshot = read(world, rollout_id, 0, 1)

    def other() -> None:
        commit(world.services, read(world, rollout_id), rewritten(1, "theirs"), [1])

    losing(world, 1, other)
    reads = counting(world, "get_blocks")
    seen: list[Sequence[Block]] = []

    def decide(_: Moment, stored: Snapshot) -> Change:
        seen.append([stored.blocks[0], stored.blocks[1]])
        return Change(stored.rollout, {0: explained(stored.blocks[0], "mine")})

    commit(world.services, snapshot, decide, [0, 1])
    assert [list(numbers) for _, numbers in reads[-1:]] == [[1]]
    assert [block.updates[0].explanation for block in seen[-1]] == [None, "theirs"]
    firsts = [
        block.updates[0].explanation for block in read(world, rollout_id, 0, 1).blocks.values()
    ]
    assert firsts == ["mine", "theirs"]


def test_the_answers_of_a_request_are_not_undone_by_who_read_before_they_were_stored() -> None:
    """The request stores its claims with the rollout; a late timer has read those."""
    world = World(devices(3))
    patched: Any = world.hub
    invoke = world.hub.invoke_all
    early: list[Snapshot] = []

    def answering(*arguments: Any) -> Any:
        (rollout_id,) = world.stores.rollouts.list_open_ids()
        early.append(read(world, rollout_id, 0))
        return invoke(*arguments)

    patched.invoke_all = answering
    rollout_id = world.create().rollout.id
    assert early[0].blocks[0].updates[0].state is DeviceState.DISPATCHING
    commit(world.services, early[0], rewritten(0, "late"), [0])
    assert {item.state for item in world.updates(rollout_id)} == {DeviceState.ACCEPTED}
    assert world.until_over(rollout_id).counts.completed == 3


def test_a_rollout_that_is_gone_is_unknown() -> None:
    world = World(devices(3))
    snapshot = read(world, world.create().rollout.id)
    gone: Rollout = replace(snapshot.rollout, id="gone")
    with pytest.raises(UnknownError):
        commit(world.services, replace(snapshot, rollout=gone), note)
