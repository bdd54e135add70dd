"""Test changes of one rollout that wait in one process, and are committed together."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from functions.errors import LostRaceError, StorageUnavailableError
from functions.rollout_store.ports.rollouts import MAX_BLOCKS_PER_SAVE, Snapshot
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.audit import add_event
from functions.rollouts.model.device_state import DeviceState
from functions.use_cases.commit import MAX_CHANGES_PER_SAVE, Change, commit
from functions.use_cases.dispatch import dispatch
from tests.functions.use_cases.test_commit import make_decision, read
from tests.functions.use_cases.world import World, devices

WAIT_SECONDS = 20


class Writers:
    """Threads that commit while the first write of a rollout is held up."""

    def __init__(self, world: World, rollout_id: str) -> None:
        self.world, self.rollout_id = world, rollout_id
        self.saves = 0
        self.results: dict[int, Snapshot | BaseException] = {}
        self._threads: list[threading.Thread] = []
        self._may_save, self._is_saving = threading.Event(), threading.Event()
        store: Any = world.stores.rollouts
        save = store.save

        def held_up(*arguments: Any) -> Any:
            self.saves += 1
            self._is_saving.set()
            assert self._may_save.wait(WAIT_SECONDS)
            return save(*arguments)

        store.save = held_up

    def start(
        self, number: int, decide: Any, needed: Sequence[int] = (), known: Sequence[int] = ()
    ) -> None:
        snapshot = read(self.world, self.rollout_id, *known)

        def run() -> None:
            try:
                found: Any = commit(self.world.services, snapshot, decide, needed)
            except Exception as error:  # noqa: BLE001 - the test reads it
                found = error
            self.results[number] = found

        thread = threading.Thread(target=run)
        thread.start()
        self._threads.append(thread)
        if len(self._threads) == 1:
            assert self._is_saving.wait(WAIT_SECONDS)
        else:
            self._wait_until_queued()

    def _wait_until_queued(self) -> None:
        lines: Any = self.world.services.commits._lines  # noqa: SLF001 - no other way to see it
        deadline = threading.Event()
        for _ in range(2_000):
            if len(lines[self.rollout_id].waiting) == len(self._threads) - 1:
                return
            deadline.wait(0.005)
        raise AssertionError("the change does not wait")

    def finish(self) -> None:
        self._may_save.set()
        for thread in self._threads:
            thread.join(WAIT_SECONDS)
            assert not thread.is_alive()


def note(number: int) -> Any:
    def decide(moment: Moment, stored: Snapshot) -> Change:
        return Change(add_event(stored.rollout, moment.now, "changed", f"line {number}"))

    return decide


def notes(snapshot: Snapshot | BaseException) -> list[str]:
    assert isinstance(snapshot, Snapshot), snapshot
    return [e.message for e in snapshot.rollout.audit.events if e.action == "changed"]


@pytest.fixture
def writers() -> Writers:
    world = World(devices(700))
    return Writers(world, world.create().rollout.id)


def test_changes_that_wait_are_stored_in_order_by_one_write(writers: Writers) -> None:
    before = writers.world.rollout(writers.rollout_id).revision
    for number in range(6):
        writers.start(number, note(number))
    writers.finish()
    assert writers.saves == 2
    assert notes(writers.results[0]) == ["line 0"]
    assert notes(writers.results[5]) == [f"line {number}" for number in range(6)]
    assert writers.world.rollout(writers.rollout_id).revision == before + 6


def test_an_error_that_a_lost_race_made_untrue_is_decided_again(writers: Writers) -> None:
    """Check that a change is not stored and reported as an error as well, nor the reverse."""
    store: Any = writers.world.stores.rollouts
    save, decided = store.save, []

    def lose_once(*_: Any) -> Any:
        store.save = save
        raise LostRaceError("another process was first")

    def fail_once(moment: Moment, stored: Snapshot) -> Change:
        decided.append(stored)
        if len(decided) == 1:
            store.save = lose_once
            raise ZeroDivisionError("of what was not stored")
        change: Change = note(2)(moment, stored)
        return change

    writers.start(0, note(0))
    writers.start(1, note(1))
    writers.start(2, fail_once)
    writers.finish()
    assert len(decided) == 2
    for number in (1, 2):
        assert notes(writers.results[number]) == ["line 0", "line 1", "line 2"]


def test_a_change_that_raises_fails_alone(writers: Writers) -> None:
    def fail(_moment: Moment, _stored: Snapshot) -> Change:
        raise ZeroDivisionError("mine")

    writers.start(0, note(0))
    writers.start(1, note(1))
    writers.start(2, fail)
    writers.start(3, note(3))
    writers.finish()
    assert isinstance(writers.results[2], ZeroDivisionError)
    assert notes(writers.results[3]) == ["line 0", "line 1", "line 3"]
    assert writers.saves == 2


def test_the_first_of_the_waiting_may_raise_and_the_others_are_stored(writers: Writers) -> None:
    def fail(_moment: Moment, _stored: Snapshot) -> Change:
        raise ZeroDivisionError("mine")

    writers.start(0, note(0))
    writers.start(1, fail)
    writers.start(2, note(2))
    writers.finish()
    assert isinstance(writers.results[1], ZeroDivisionError)
    assert notes(writers.results[2]) == ["line 0", "line 2"]


def test_one_write_takes_no_more_blocks_than_a_transaction_holds(writers: Writers) -> None:
    writers.start(0, note(0))
    for number in range(MAX_BLOCKS_PER_SAVE + 2):
        writers.start(number + 1, make_decision(number, f"word {number}"), [number])
    writers.finish()
    assert writers.saves == 3
    stored = read(writers.world, writers.rollout_id, *range(MAX_BLOCKS_PER_SAVE + 2))
    assert [block.updates[0].explanation for block in stored.blocks.values()] == [
        f"word {number}" for number in range(MAX_BLOCKS_PER_SAVE + 2)
    ]


def test_one_write_takes_as_many_blocks_as_a_transaction_holds(writers: Writers) -> None:
    writers.start(0, note(0))
    for number in range(MAX_BLOCKS_PER_SAVE):
        writers.start(number + 1, make_decision(number, "word"), [number])
    writers.finish()
    assert writers.saves == 2


def test_a_change_that_turns_out_to_be_too_large_is_left_to_the_next_write(
    writers: Writers,
) -> None:
    many = range(1, 1 + MAX_BLOCKS_PER_SAVE)

    def decide(moment: Moment, stored: Snapshot) -> Change:
        changes = [make_decision(number, "word")(moment, stored) for number in many]
        return Change(stored.rollout, {n: c.blocks[n] for n, c in zip(many, changes, strict=True)})

    writers.start(0, note(0))
    writers.start(1, make_decision(0, "word"), [0])
    writers.start(2, decide, known=many)
    writers.finish()
    assert writers.saves == 3
    stored = read(writers.world, writers.rollout_id, 0, *many)
    assert {block.updates[0].explanation for block in stored.blocks.values()} == {"word"}


def test_one_write_takes_16_changes(writers: Writers) -> None:
    for number in range(1 + MAX_CHANGES_PER_SAVE + 1):
        writers.start(number, note(number))
    writers.finish()
    assert writers.saves == 3
    assert len(notes(writers.results[MAX_CHANGES_PER_SAVE])) == 1 + MAX_CHANGES_PER_SAVE


def test_two_changes_of_one_block_are_both_stored(writers: Writers) -> None:
    def append(word: str) -> Any:
        def decide(_: Moment, stored: Snapshot) -> Change:
            before = stored.blocks[0].updates[0].explanation or ""
            return make_decision(0, before + word)(_, stored)

        return decide

    writers.start(0, append("a"), [0])
    writers.start(1, append("b"), [0])
    writers.start(2, append("c"), [0])
    writers.finish()
    stored = read(writers.world, writers.rollout_id, 0)
    assert stored.blocks[0].updates[0].explanation == "abc"


def test_an_outage_reaches_every_change_that_it_kept_from_being_stored() -> None:
    world = World(devices(20))
    rollout_id = world.create().rollout.id
    writers = Writers(world, rollout_id)
    writers.start(0, note(0))
    for number in (1, 2, 3):
        writers.start(number, note(number))
    store: Any = world.stores.rollouts

    def fail(*_: Any) -> Any:
        raise StorageUnavailableError("storage is away")

    store.save = fail
    writers.finish()
    assert notes(writers.results[0]) == ["line 0"]
    errors = [writers.results[number] for number in (1, 2, 3)]
    assert {str(error) for error in errors} == {"storage is away"}
    assert len({id(error) for error in errors}) == 3


def test_a_batch_that_loses_every_race_fails_no_device_and_no_message() -> None:
    world = World(devices(20))
    rollout_id = world.create().rollout.id
    batches = world.advance()
    store: Any = world.stores.rollouts
    save = store.save

    def lose(*_: Any) -> Any:
        raise LostRaceError("always")

    store.save = lose
    for batch in batches:
        dispatch(replace(world.services, sleep=lambda _: None), batch)
    store.save = save
    assert {item.state for item in world.updates(rollout_id)} == {DeviceState.QUEUED}
    assert world.until_over(rollout_id).counts.completed == 20


def test_an_outcome_that_loses_every_race_is_settled_by_later_ticks() -> None:
    world = World(devices(20))
    rollout_id = world.create().rollout.id
    batches = world.advance()
    store: Any = world.stores.rollouts
    hub: Any = world.hub
    save, invoke_all = store.save, hub.invoke_all

    def lose(*_: Any) -> Any:
        raise LostRaceError("always")

    def invoke_then_lose(*arguments: Any) -> Any:
        found = invoke_all(*arguments)
        store.save = lose
        return found

    hub.invoke_all = invoke_then_lose
    for batch in batches:
        dispatch(replace(world.services, sleep=lambda _: None), batch)
    store.save, hub.invoke_all = save, invoke_all
    counts = world.until_over(rollout_id).counts
    assert (counts.completed, counts.failed) == (20, 0)
    assert {item.attempt for item in world.updates(rollout_id)} == {1}
