"""Test when and where an open rollout skips the devices that later rollouts have."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.later_rollouts import NO_LATER_ROLLOUTS, LaterRollouts
from functions.rollouts.model.strategy import Strategy, WavePlan
from functions.rollouts.rollout import operator_commands
from functions.use_cases import commands, supersede
from functions.use_cases.create import create
from tests.cases.steps import ADA
from tests.functions.use_cases.world import World, devices

SECOND = timedelta(seconds=1)


def create_for(world: World, *device_ids: str, canaries: int = 0) -> str:
    strategy = Strategy(waves=(WavePlan(size=canaries),)) if canaries else Strategy()
    request = world.request(*device_ids, strategy=strategy)
    return create(world.services, request, None).rollout.id


def create_paused(world: World, *device_ids: str) -> str:
    """Create a rollout that has started and updates no device. Let a second pass."""
    rollout_id = create_for(world, *device_ids)
    commands.run_command(world.services, rollout_id, operator_commands.pause, ADA)
    world.clock.now += SECOND
    return rollout_id


def read(world: World, rollout_id: str, numbers: Sequence[int] = ()) -> Snapshot:
    snapshot = world.stores.rollouts.get(rollout_id)
    assert snapshot is not None
    return world.stores.rollouts.get_blocks(snapshot, numbers)


def skip(world: World, rollout_id: str) -> Snapshot:
    return supersede.skip_superseded(world.services, read(world, rollout_id))


def set_later(world: World, rollout_id: str, later: LaterRollouts) -> None:
    snapshot = read(world, rollout_id)
    world.stores.rollouts.save(snapshot, replace(snapshot.rollout, later=later))


def queued_in(world: World, rollout_id: str) -> set[str]:
    updates = world.updates(rollout_id)
    return {item.device_id for item in updates if item.state is DeviceState.QUEUED}


@pytest.fixture
def world() -> World:
    return World(devices(20), still=True)


def test_devices_are_skipped_ten_seconds_after_the_newest_later_rollout(world: World) -> None:
    first = create_paused(world)
    second = create_for(world, "d-001")
    world.pass_time(seconds=5)
    third = create_for(world, "d-002")
    assert read(world, first).rollout.later == LaterRollouts(ids=(third, second), checked=False)
    world.pass_time(seconds=9)
    before = read(world, first)
    assert supersede.skip_superseded(world.services, before) is before
    world.pass_time(seconds=1)
    after = skip(world, first).rollout
    assert after.counts.skipped == 2
    assert queued_in(world, first) == world.hub.devices.keys() - {"d-001", "d-002"}
    event = after.audit.events[-1]
    assert event.action == "superseded"
    assert event.message.startswith("Skipped 2 devices: later rollouts have them: ")
    assert second in event.message
    assert third in event.message


def test_later_rollouts_are_forgotten_once_no_device_could_be_queued_again(world: World) -> None:
    first = create_paused(world)
    create_for(world, "d-001")
    world.pass_time(seconds=10)
    assert skip(world, first).rollout.later == NO_LATER_ROLLOUTS


def test_later_rollouts_are_kept_and_checked_once_while_devices_are_updated(world: World) -> None:
    first = create_for(world, canaries=5)
    world.tick()
    world.clock.now += SECOND
    second = create_for(world, "d-001")
    world.pass_time(seconds=10)
    after = skip(world, first)
    assert after.rollout.counts.updating == 5
    assert after.rollout.later == LaterRollouts(ids=(second,), checked=True)
    assert supersede.skip_superseded(world.services, after) is after


def test_a_later_rollout_that_is_being_prepared_is_checked_again() -> None:
    world = World(devices(1_001), still=True)
    first = create_paused(world, *[f"d-{number:03}" for number in range(20)])
    second = create_for(world)
    world.pass_time(seconds=10)
    after = skip(world, first).rollout
    assert (after.counts.skipped, after.counts.queued) == (20, 0)
    assert after.later == LaterRollouts(ids=(second,), checked=False)


@pytest.mark.parametrize(("length", "counts"), [(299, True), (300, False)])
def test_a_creation_that_crashed_does_not_count_after_five_minutes(
    world: World, length: float, counts: bool
) -> None:
    first = create_paused(world)
    ghost = world.services.new_id(world.now)
    later = LaterRollouts(ids=(ghost,), checked=False)
    set_later(world, first, later)
    world.pass_time(seconds=length)
    before, after = read(world, first).rollout, skip(world, first).rollout
    assert after.later == (later if counts else NO_LATER_ROLLOUTS)
    assert (after == before) is counts
    assert "superseded" not in [event.action for event in after.audit.events]


def test_a_creation_that_crashed_hides_no_earlier_rollout(world: World) -> None:
    first = create_for(world, canaries=5)
    world.tick()
    world.clock.now += SECOND
    second = create_for(world, "d-001")
    ghost = world.services.new_id(world.now + SECOND)
    set_later(world, first, LaterRollouts(ids=(ghost, second), checked=False))
    world.pass_time(seconds=301)
    assert skip(world, first).rollout.later == LaterRollouts(ids=(second,), checked=True)


def test_no_history_is_read_for_a_rollout_without_queued_devices(world: World) -> None:
    first = create_for(world)
    world.tick()
    world.clock.now += SECOND
    create_for(world, "d-001")
    world.pass_time(seconds=10)
    targets: Any = world.stores.targets
    targets.get_block_numbers = None
    assert skip(world, first).rollout.counts.updating == 20


def test_only_blocks_with_shared_queued_devices_are_read() -> None:
    world = World(devices(250), still=True)
    first = create_paused(world)
    shared = world.updates(first)[150].device_id
    create_for(world, shared)
    world.pass_time(seconds=10)
    store: Any = world.stores.rollouts
    get_blocks, numbers = store.get_blocks, set[int]()

    def counted(snapshot: Snapshot, wanted: Sequence[int]) -> Snapshot:
        numbers.update(wanted)
        found: Snapshot = get_blocks(snapshot, wanted)
        return found

    store.get_blocks = counted
    assert skip(world, first).rollout.counts.skipped == 1
    assert numbers == {1}


def test_a_claimed_device_that_a_later_rollout_has_is_skipped_before_its_method(
    world: World,
) -> None:
    first = create_paused(world)
    taken = world.updates(first)[1].device_id
    create_for(world, taken)
    claimed = dict(enumerate(read(world, first, [0]).blocks[0].updates[:3]))
    after, others = supersede.skip_claimed(world.services, read(world, first), claimed)
    assert list(others) == [0, 2]
    assert after.rollout.counts.skipped == 1
    assert world.update(first, taken).state is DeviceState.SKIPPED
    assert len(queued_in(world, first)) == 19
    assert supersede.skip_claimed(world.services, after, others) == (after, others)


def test_devices_that_are_queued_again_are_skipped_with_an_event(world: World) -> None:
    first = create_paused(world)
    second = create_for(world, "d-001", "d-002")
    snapshot = read(world, first, [0])
    moment = world.services.moment(snapshot.rollout)
    rollout, blocks = supersede.skip_in_blocks(
        world.services, moment, snapshot.rollout, snapshot.blocks
    )
    skipped = [item.device_id for item in blocks[0].updates if item.state is DeviceState.SKIPPED]
    assert sorted(skipped) == ["d-001", "d-002"]
    message = f"Skipped 2 devices: later rollouts have them: {second}."
    assert rollout.audit.events[-1].message == message
