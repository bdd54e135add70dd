"""Late good news counts in whole rollouts: while they are open, and after their end."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.rollout_store.ports.device_locks import DeviceLock
from functions.rollout_store.ports.records import Stored
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.outage import HEALTHY
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import (
    FailureGate,
    Retry,
    RetryOn,
    Strategy,
    WavePlan,
    percent,
)
from functions.rollouts.model.wave import Counts, WaveStatus, count
from functions.rollouts.rollout import operator_commands
from functions.use_cases.advance import advance
from functions.use_cases.commands import retry, run_command
from functions.use_cases.commit_queue import CommitQueue
from functions.use_cases.create import create
from functions.use_cases.hub_watch import HubWatch
from functions.use_cases.latest_snapshots import LatestSnapshots
from functions.use_cases.observe_and_lease import follow_late_devices
from functions.use_cases.tick_budget import TickBudget
from simulator.rehearsal.virtual_device import VirtualDevice
from tests.cases.steps import ADA, require
from tests.functions.use_cases.world import World, device, devices

ONCE = Retry(on=frozenset({RetryOn.UNREACHABLE}))
# Each stage of a slow device takes four minutes; the timeout is ten minutes.
STRATEGY = Strategy(timeout=timedelta(minutes=10), retry=ONCE, success_share=percent(0))


def slow(device_id: str = "slow", **more: bool) -> VirtualDevice:
    return device(device_id, stage=240, **more)


def start(world: World, strategy: Strategy = STRATEGY) -> str:
    return create(world.services, world.request(strategy=strategy), None).rollout.id


def until_failed(world: World, rollout_id: str, device_id: str = "slow") -> None:
    for _ in range(200):
        world.tick()
        if world.update(rollout_id, device_id).state is DeviceState.FAILED:
            break
    error = world.update(rollout_id, device_id).error
    require(error is not None and error.code == "timedOut", f"{device_id} has timed out")


def check_counts(world: World, rollout_id: str) -> Counts:
    """Check that the counts of every wave are those of its devices. Return all counts."""
    rollout, updates = world.rollout(rollout_id), world.updates(rollout_id)
    for wave in rollout.waves:
        states = [item.state for item in updates[wave.first : wave.first + wave.size]]
        assert wave.counts == count(states)
    return rollout.counts


def test_a_late_success_counts_while_another_device_is_waited_for() -> None:
    world = World([slow(), device("away", online=False)])
    rollout_id = start(world)
    until_failed(world, rollout_id)
    world.ticks(30)
    assert world.update(rollout_id, "slow").state is DeviceState.COMPLETED
    assert check_counts(world, rollout_id) == Counts(completed=1, queued=1)
    assert world.rollout(rollout_id).status is RolloutStatus.RUNNING


@pytest.mark.parametrize("tutorial_only", [False, True])
def test_a_late_success_is_found_after_the_end_of_the_rollout(tutorial_only: bool) -> None:
    world = World([slow(tutorial_only=tutorial_only)])
    rollout_id = start(world)
    until_failed(world, rollout_id)
    ended = world.rollout(rollout_id)
    assert (ended.is_over, ended.counts.failed) == (True, 1)
    world.ticks(60)
    after = world.rollout(rollout_id)
    assert world.update(rollout_id, "slow").state is DeviceState.COMPLETED
    assert check_counts(world, rollout_id).completed == 1
    assert (after.status, after.ended_at) == (ended.status, ended.ended_at)
    last = after.audit.events[-1]
    assert (last.action, last.message) == ("completedLate", "1 device that had failed.")
    assert world.stores.rollouts.list_open_ids() == []


def test_a_late_success_that_two_hosts_read_at_once_is_recorded_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World([slow()])
    rollout_id = start(world)
    until_failed(world, rollout_id)
    other = replace(world.services, commits=CommitQueue(), latest=LatestSnapshots())
    hub: Any = world.hub
    read, raced = hub.read_twins, list[bool]()

    def read_late(*arguments: Any) -> Any:
        found = read(*arguments)
        if not raced and found["slow"].reported["firmwareStatus"] == "completed":
            hub.read_twins = read
            raced.append(True)
            advance(other)
        return found

    hub.read_twins = read_late
    world.ticks(60)
    assert raced
    assert check_counts(world, rollout_id).completed == 1
    actions = [event.action for event in world.rollout(rollout_id).audit.events]
    assert actions.count("completedLate") == 1
    assert [line for line in caplog.records if line.levelname == "ERROR"] == []


def test_a_device_that_never_completes_is_observed_rarely_and_not_for_ever() -> None:
    world = World([device("slow", hangs=True)])
    rollout_id = start(world)
    until_failed(world, rollout_id)
    before = world.hub.operations.twin_reads
    world.ticks(24 * 60, seconds=600)
    assert world.hub.operations.twin_reads - before < 25
    assert world.stores.rollouts.list_open_ids() == []
    assert world.update(rollout_id, "slow").state is DeviceState.FAILED


@pytest.mark.parametrize("event", ["deleted", "taken over"])
def test_a_failed_device_that_is_gone_or_taken_over_is_not_observed_for_ever(event: str) -> None:
    world = World([device("slow", hangs=True, tutorial_only=True)])
    rollout_id = start(world)
    until_failed(world, rollout_id)
    if event == "deleted":
        del world.hub.devices["slow"]
    else:
        take_over(world)
    before = world.hub.operations.twin_reads
    world.ticks(24 * 60, seconds=600)
    assert world.hub.operations.twin_reads - before < 25
    assert world.stores.rollouts.list_open_ids() == []
    assert world.update(rollout_id, "slow").state is DeviceState.FAILED


@pytest.mark.parametrize(
    ("left", "refused", "reads"), [(51.0, False, 1), (50.0, False, 0), (51.0, True, 0)]
)
def test_an_ended_rollout_is_observed_only_with_messages_that_no_other_needs(
    left: float, refused: bool, reads: int
) -> None:
    world = World([device("slow", hangs=True)])
    rollout_id = start(world)
    until_failed(world, rollout_id)
    world.pass_time(hours=2)
    snapshot = require_snapshot(world, rollout_id)
    budget = TickBudget(0, twin_reads=5, queries=5, messages_left=left, reserved=50.0)
    hub = HubWatch(HEALTHY)
    hub.is_refused = refused
    before, blocks = world.hub.operations.twin_reads, count_block_reads(world)
    follow_late_devices(world.services, snapshot, budget, hub)
    assert (world.hub.operations.twin_reads - before, bool(blocks)) == (reads, bool(reads))
    again = require_snapshot(world, rollout_id)
    follow_late_devices(world.services, again, budget, hub)
    assert world.hub.operations.twin_reads - before == reads


def count_block_reads(world: World) -> list[Any]:
    """Return the numbers of blocks that are read, as they are."""
    store: Any = world.services.latest
    read, calls = store.with_blocks, []

    def counted(*arguments: Any) -> Any:
        calls.append(arguments[-1])
        return read(*arguments)

    store.with_blocks = counted
    return calls


def require_snapshot(world: World, rollout_id: str) -> Snapshot:
    snapshot = world.stores.rollouts.get(rollout_id)
    assert snapshot is not None
    return snapshot


def test_a_late_success_that_reaches_the_share_opens_the_next_wave() -> None:
    world = World(devices(4, stage=240))
    waves, half = (WavePlan(size=2),), percent(50)
    gate = FailureGate(acceptable=percent(90), unacceptable=percent(99))
    strategy = replace(STRATEGY, waves=waves, success_share=half, failure_gate=gate)
    soon = world.now + timedelta(minutes=1)
    request = world.request(strategy=strategy, start_at=soon)
    rollout_id = create(world.services, request, None).rollout.id
    first, second, *_ = [item.device_id for item in world.updates(rollout_id)]
    world.hub.disconnect(second)
    until_failed(world, rollout_id, first)
    assert world.rollout(rollout_id).waves[1].status is WaveStatus.PENDING
    world.ticks(30)
    assert world.rollout(rollout_id).waves[1].status is WaveStatus.RUNNING
    check_counts(world, rollout_id)


def test_a_wave_that_was_paused_shows_the_corrected_counts_and_stays_paused() -> None:
    world = World(devices(6, stage=240))
    waves = (WavePlan(size=2),)
    strategy = Strategy(timeout=timedelta(minutes=10), retry=ONCE, waves=waves)
    rollout_id = start(world, strategy)
    until_failed(world, rollout_id, world.updates(rollout_id)[0].device_id)
    world.ticks(2)
    paused = world.rollout(rollout_id)
    require(paused.status is RolloutStatus.PAUSED, "the canaries' failures paused it")
    world.ticks(60)
    after = world.rollout(rollout_id)
    assert after.waves[0].counts == Counts(completed=2)
    assert (after.status, after.status_reason) == (paused.status, paused.status_reason)
    assert after.waves[0].status is WaveStatus.FAILED
    assert check_counts(world, rollout_id).queued == 4
    run_command(world.services, rollout_id, operator_commands.resume, ADA)
    for item in world.hub.devices.values():
        item.stage_seconds = (10, 10, 10, 10)
    assert world.until_over(rollout_id).counts.completed == 6


def test_a_retry_does_not_send_again_to_a_device_that_has_completed_meanwhile() -> None:
    for tutorial_only in (False, True):
        only = slow(tutorial_only=tutorial_only)
        world = World([only])
        rollout_id = start(world)
        until_failed(world, rollout_id)
        world.pass_time(minutes=5)  # it completes, and no tick has seen it
        retry(world.services, rollout_id, ADA)
        assert world.until_over(rollout_id).counts.completed == 1
        assert len(only.started) == 1


def test_another_rollouts_completion_is_not_this_ones() -> None:
    """The device reports no rollout: its lock says which one invoked it last."""
    world = World([slow(tutorial_only=True)])
    rollout_id = start(world)
    until_failed(world, rollout_id)
    take_over(world)
    world.ticks(120)
    assert world.update(rollout_id, "slow").state is DeviceState.FAILED


def take_over(world: World) -> None:
    """Let another rollout have the lock of the device."""
    lock = world.stores.locks.get("slow")
    require(lock is not None, "the device has a lock")
    taken = DeviceLock(rollout_id="another", taken_at=world.now)
    world.stores.locks.save("slow", Stored(taken, lock.version if lock else ""))
