"""Test how seldom a process reads a rollout that is watched."""

from typing import Any

import pytest

from functions.errors import UnknownError
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.rollout import Rollout
from functions.use_cases import rollout_watch
from functions.use_cases.commit import Change, commit
from functions.use_cases.create import create
from functions.use_cases.rollout_watch import RolloutWatch
from tests.functions.builders import at
from tests.functions.use_cases.world import World, devices


class Reads:
    """Count the reads of a store's rollouts, and of the time of the tick."""

    def __init__(self, world: World) -> None:
        self.records: list[str] = []
        self.blocks: list[list[int]] = []
        self.ticks = 0
        rollouts: Any = world.stores.rollouts
        budget: Any = world.stores.budget
        self._get, self._get_blocks, self._get_budget = (
            rollouts.get,
            rollouts.get_blocks,
            budget.get,
        )
        rollouts.get, rollouts.get_blocks, budget.get = self.get, self.get_blocks, self.get_budget

    def get(self, rollout_id: str) -> Any:
        self.records.append(rollout_id)
        return self._get(rollout_id)

    def get_blocks(self, snapshot: Any, numbers: Any) -> Any:
        self.blocks.append(list(numbers))
        return self._get_blocks(snapshot, numbers)

    def get_budget(self) -> Any:
        self.ticks += 1
        return self._get_budget()


def start(world: World, *device_ids: str) -> Rollout:
    return create(world.services, world.request(*device_ids), None).rollout


def touch_block(world: World, rollout_id: str, number: int) -> None:
    snapshot = world.stores.rollouts.get(rollout_id)
    assert snapshot is not None

    def decide(_: Moment, stored: Snapshot) -> Change:
        block = stored.blocks[number].apply(lambda item: item._replace(updated_at=at(5)))
        return Change(stored.rollout, {number: block})

    commit(world.services, snapshot, decide, [number])


@pytest.fixture
def world() -> World:
    return World(devices(250), still=True)


def test_a_record_is_read_again_after_1_25_seconds(world: World) -> None:
    rollout_id, watch, reads = start(world).id, RolloutWatch(), Reads(world)
    seen = []
    for seconds in (0, 0, 1.24, 1.25, 2.49, 2.5):
        watch.read_snapshot(world.stores, rollout_id, at(seconds))
        seen.append(len(reads.records))
    assert seen == [1, 1, 1, 2, 2, 3]


@pytest.mark.parametrize(("blocks_per_read", "pause"), [(3, 2.5), (2, 3.75)])
def test_a_read_of_blocks_delays_the_next_read_of_the_record(
    world: World, monkeypatch: pytest.MonkeyPatch, blocks_per_read: int, pause: float
) -> None:
    monkeypatch.setattr(rollout_watch, "BLOCKS_PER_READ", blocks_per_read)
    rollout_id, watch, reads = start(world).id, RolloutWatch(), Reads(world)
    for seconds in (0, pause - 0.01):
        watch.read_states(world.stores, rollout_id, at(seconds))
        assert len(reads.records) == 1
    for seconds in (pause, pause + 1.24):
        watch.read_states(world.stores, rollout_id, at(seconds))
        assert len(reads.records) == 2
    assert reads.blocks == [[0, 1, 2]]


def test_only_blocks_that_have_changed_are_read_again(world: World) -> None:
    rollout_id, watch, reads = start(world).id, RolloutWatch(), Reads(world)
    before = watch.read_states(world.stores, rollout_id, at(0))
    touch_block(world, rollout_id, 1)
    reads.blocks.clear()
    after = watch.read_states(world.stores, rollout_id, at(10))
    assert reads.blocks == [[1]]
    assert [block.number for block in after.blocks] == [0, 1, 2]
    assert after.blocks[1].revision > before.blocks[1].revision


def test_a_clock_that_is_set_back_keeps_no_record(world: World) -> None:
    rollout_id, watch, reads = start(world).id, RolloutWatch(), Reads(world)
    for seconds in (3_600, 0, 1):
        watch.read_snapshot(world.stores, rollout_id, at(seconds))
    assert len(reads.records) == 2


def test_the_rollout_that_was_watched_longest_ago_is_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout_watch, "MAX_WATCHED", 2)
    watch = RolloutWatch()
    a, b, c = (start(world, device_id).id for device_id in ("d-000", "d-001", "d-002"))
    reads = Reads(world)
    for rollout_id in (a, b, a, c, a, b):
        watch.read_snapshot(world.stores, rollout_id, at(0))
    assert reads.records == [a, b, c, b]


@pytest.mark.parametrize(
    ("interval", "expected"), [(10, [0, 11, 16, 21]), (None, [0, 5, 10, 15, 20])]
)
def test_the_time_of_the_tick_is_read_when_the_next_one_is_due(
    world: World, interval: float | None, expected: list[int]
) -> None:
    start(world)
    world.advance()
    began, watch, reads = world.now, RolloutWatch(), Reads(world)
    length = None if interval is None else at(interval) - at(0)
    seen = []
    for seconds in range(25):
        for _ in range(2):
            before = reads.ticks
            now = began + (at(seconds) - at(0))
            assert watch.read_ticked_at(world.stores, now, length) == began
            seen += [seconds] * (reads.ticks - before)
    assert seen == expected


def test_the_time_of_the_tick_is_unknown_before_the_first_one(world: World) -> None:
    watch, reads = RolloutWatch(), Reads(world)
    for seconds in (0, 4.9, 5, 9.9, -1):
        assert watch.read_ticked_at(world.stores, at(seconds), at(10) - at(0)) is None
    assert reads.ticks == 3


def test_a_rollout_that_does_not_exist_is_named_by_64_characters(world: World) -> None:
    watch = RolloutWatch()
    for read in (watch.read_snapshot, watch.read_states):
        with pytest.raises(UnknownError) as caught:
            read(world.stores, "x" * 65, at(0))
        assert f"'{'x' * 64}'" in str(caught.value)
