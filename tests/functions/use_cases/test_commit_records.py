"""Test what a commit stores beside what was decided."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.device.moment import Moment
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import Strategy
from functions.telemetry.port import NoTelemetry
from functions.use_cases.change_strategy import change_strategy
from functions.use_cases.commit import Change, commit
from tests.cases.steps import ADA
from tests.functions.use_cases.test_commit import add_note, make_decision, read
from tests.functions.use_cases.world import World, device, devices


def observe(world: World, rollout_id: str) -> Snapshot:
    """Commit that the devices of the first block were observed, and are as they were."""

    def decide(_: Moment, stored: Snapshot) -> Change:
        return Change(stored.rollout, observed=[0])

    return commit(world.services, read(world, rollout_id), decide, [0])


def test_devices_that_were_observed_after_a_change_are_due_as_before() -> None:
    world = World(devices(60, stage=60), still=True)
    rollout_id = world.create().rollout.id
    usual = replace(world.rollout(rollout_id).measured, finished=100, finish_seconds=360_000)
    snapshot = read(world, rollout_id)
    commit(world.services, snapshot, lambda _, x: Change(replace(x.rollout, measured=usual)))
    world.ticks(3)
    (before,) = world.rollout(rollout_id).block_summaries
    timeout = timedelta(hours=2)
    change_strategy(world.services, rollout_id, ADA, lambda known: replace(known, timeout=timeout))
    (changed,) = world.rollout(rollout_id).block_summaries
    assert changed.due_at == world.now
    (after,) = observe(world, rollout_id).rollout.block_summaries
    assert after == before
    assert after != changed


def test_the_time_in_which_devices_could_start_is_counted() -> None:
    world = World(devices(20), still=True)
    rollout_id = world.create().rollout.id
    world.pass_time(minutes=5)
    stored = commit(world.services, read(world, rollout_id), add_note).rollout
    assert stored.start_clock.counted == timedelta(minutes=5)
    assert stored.start_clock.at == world.now


def test_devices_adopt_a_soak_that_was_changed_when_their_block_is_written() -> None:
    world = World(devices(2, stage=1), still=True)
    rollout_id = world.create(Strategy(soak=timedelta(hours=5))).rollout.id
    while world.rollout(rollout_id).counts.soaking < 2:
        world.tick()
    soak = timedelta(hours=1)
    change_strategy(world.services, rollout_id, ADA, lambda known: replace(known, soak=soak))
    before = world.update(rollout_id, "d-000").soak_until
    observe(world, rollout_id)
    after = world.update(rollout_id, "d-000").soak_until
    assert before is not None
    assert after == before - timedelta(hours=4)


def test_a_device_in_doubt_adopts_a_timeout_that_was_changed() -> None:
    only = device("a", stage=60)
    only.lose_responses = 1
    world = World([only], still=True)
    rollout_id = world.create(Strategy(timeout=timedelta(hours=5))).rollout.id
    assert world.update(rollout_id).state is DeviceState.DISPATCHING
    timeout = timedelta(seconds=20)
    change_strategy(world.services, rollout_id, ADA, lambda known: replace(known, timeout=timeout))
    observe(world, rollout_id)
    update = world.update(rollout_id)
    assert update.dispatched_at is not None
    assert update.not_before == update.dispatched_at + timeout


class Recorder(NoTelemetry):
    """Keep the blocks that telemetry is told of."""

    def __init__(self) -> None:
        self.told: list[tuple[Mapping[int, Block], Mapping[int, Block]]] = []

    def record_updates(
        self,
        rollout: Rollout,  # noqa: ARG002
        before: Mapping[int, Block],
        after: Mapping[int, Block],
    ) -> None:
        self.told.append((before, after))


def test_telemetry_is_told_of_the_changed_blocks_before_and_after() -> None:
    world, recorder = World(devices(250)), Recorder()
    rollout_id = world.create().rollout.id
    before = read(world, rollout_id, 0, 1)
    world.services = replace(world.services, telemetry=recorder)
    stored = commit(world.services, before, make_decision(1, "word"), [0, 1])
    assert recorder.told == [({1: before.blocks[1]}, {1: stored.blocks[1]})]
