"""Test retries: of any size, of chosen devices, and of rollouts that were cancelled."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.errors import ConflictError, InvalidError, StorageUnavailableError
from functions.rollouts.model.block import BlockSummary
from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.pending_retry import RetryState
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import (
    FailureGate,
    Offline,
    OfflinePolicy,
    OnBreach,
    Share,
    Strategy,
    WavePlan,
    percent,
)
from functions.rollouts.model.wave import WaveStatus
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands, requeue
from functions.use_cases.create import create
from functions.use_cases.rollback import roll_back
from simulator.simulated_fleet.shares import Fault
from tests.cases.steps import required
from tests.functions.use_cases.test_commands_races import check_counters
from tests.functions.use_cases.world import FIRMWARE, NOON, World, device, devices

ADA = Caller("ada")
CALM = FailureGate(acceptable=percent(50), unacceptable=percent(99))
ALL_STATES = tuple(RetryState)
SKIP_OFFLINE = Strategy(offline=Offline(policy=OfflinePolicy.SKIP))


def set_fault(world: World, device_ids: Iterable[str], fault: Fault) -> None:
    for device_id in device_ids:
        world.hub.devices[device_id].fault = fault


def check_open_waves(rollout: Rollout) -> None:
    """Check that no wave with queued devices is closed."""
    closed = {WaveStatus.COMPLETED, WaveStatus.FAILED}
    for wave in rollout.waves:
        assert not (wave.counts.queued and wave.status in closed), wave


def fail_in_many_blocks() -> tuple[World, str, list[str]]:
    """End a rollout of two waves of 500, of which ten blocks have failures. Repair the devices."""
    world = World(devices(1000, stage=1))
    strategy = Strategy(waves=(WavePlan(size=500),), success_share=Share(9800), failure_gate=CALM)
    rollout_id = create(world.services, world.request(strategy=strategy), None).rollout.id
    order = [item.device_id for item in world.updates(rollout_id)]
    bad = [order[n] for n in range(50, 500, 100)] + [order[n] for n in range(505, 1000, 10)]
    set_fault(world, bad, Fault.FAILING)
    ended = world.until_over(rollout_id)
    assert (ended.status, ended.counts.failed) == (RolloutStatus.FAILED, len(bad))
    set_fault(world, bad, Fault.NONE)
    return world, rollout_id, bad


# -- at any size


def test_every_failed_device_of_an_ended_rollout_is_tried_again() -> None:
    world, rollout_id, bad = fail_in_many_blocks()
    rollout = commands.retry(world.services, rollout_id, ADA)
    assert (rollout.counts.queued, rollout.retry) == (len(bad), None)
    check_open_waves(rollout)
    over = world.until_over(rollout_id, ticks=1000)
    assert (over.status, over.counts.completed) == (RolloutStatus.COMPLETED, 1000)


def test_no_wave_with_queued_devices_is_closed_between_the_writes_of_a_retry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, rollout_id, _ = fail_in_many_blocks()
    store: Any = world.stores.rollouts
    save = store.save
    saved: list[Rollout] = []

    def checking(snapshot: Any, rollout: Rollout, *more: Any) -> Any:
        saved.append(rollout)
        check_open_waves(rollout)
        return save(snapshot, rollout, *more)

    monkeypatch.setattr(store, "save", checking)
    commands.retry(world.services, rollout_id, ADA)
    world.until_over(rollout_id, ticks=1000)
    assert [item.retry is None for item in saved[:3]] == [False, False, True]


@pytest.mark.parametrize("writes", [1, 2])
def test_the_timer_continues_a_retry_that_died_between_two_writes(
    monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    world, rollout_id, bad = fail_in_many_blocks()
    store: Any = world.stores.rollouts
    save, left = store.save, [writes]

    def dying(*arguments: Any) -> Any:
        if not left[0]:
            raise StorageUnavailableError("gone")
        left[0] -= 1
        return save(*arguments)

    monkeypatch.setattr(store, "save", dying)
    with pytest.raises(StorageUnavailableError):
        commands.retry(world.services, rollout_id, ADA)
    monkeypatch.undo()
    assert 0 < world.rollout(rollout_id).counts.queued < len(bad)
    with pytest.raises(ConflictError, match="Another retry is still queueing"):
        commands.retry(world.services, rollout_id, ADA)
    world.tick()
    assert world.rollout(rollout_id).retry is None
    over = world.until_over(rollout_id, ticks=1000)
    assert (over.status, over.counts.completed) == (RolloutStatus.COMPLETED, 1000)
    assert all(update.attempt <= 2 for update in world.updates(rollout_id))


def test_a_rollout_does_not_end_before_its_retry_has_queued_all_devices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Queue one part per tick: the devices of a part end before the next part is queued."""
    world, rollout_id, _ = fail_in_many_blocks()
    monkeypatch.setattr(requeue, "MAX_REQUEUE_TIME", timedelta(0))
    commands.retry(world.services, rollout_id, ADA)
    for _ in range(3):
        assert not world.rollout(rollout_id).is_over
        world.tick()
    over = world.until_over(rollout_id, ticks=1000)
    assert (over.status, over.counts.completed) == (RolloutStatus.COMPLETED, 1000)


def test_a_cancel_during_a_retry_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world, rollout_id, _ = fail_in_many_blocks()
    monkeypatch.setattr(requeue, "MAX_REQUEUE_TIME", timedelta(0))
    commands.retry(world.services, rollout_id, ADA)
    commands.cancel(world.services, rollout_id, ADA)
    over = world.until_over(rollout_id)
    assert (over.status, over.counts.queued, over.retry) == (RolloutStatus.CANCELLED, 0, None)
    assert over.counts.failed
    assert over.counts.cancelled


def test_a_new_failure_during_a_long_retry_is_not_acknowledged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, rollout_id, bad = fail_in_many_blocks()
    set_fault(world, bad, Fault.FAILING)
    monkeypatch.setattr(requeue, "MAX_REQUEUE_TIME", timedelta(0))
    commands.retry(world.services, rollout_id, ADA)
    while world.rollout(rollout_id).retry is not None:
        world.ticks(3)
    world.until_over(rollout_id)
    last = world.rollout(rollout_id).waves[-1]
    assert (last.counts.failed, last.acknowledged_failed) == (50, 0)


# -- which devices


def fail_and_skip() -> tuple[World, str]:
    """End a rollout with 4 completed, 3 failed and 3 skipped devices. Repair them."""
    world = World(devices(10))
    set_fault(world, ["d-000", "d-001", "d-002"], Fault.FAILING)
    for name in ("d-003", "d-004", "d-005"):
        world.hub.disconnect(name)
    strategy = replace(SKIP_OFFLINE, failure_gate=CALM, success_share=percent(100))
    rollout_id = world.create(strategy).rollout.id
    ended = world.until_over(rollout_id)
    assert (ended.counts.completed, ended.counts.failed, ended.counts.skipped) == (4, 3, 3)
    set_fault(world, world.hub.devices, Fault.NONE)
    for name in ("d-003", "d-004", "d-005"):
        world.hub.reconnect(name)
    return world, rollout_id


@pytest.mark.parametrize(
    ("states", "completed", "status"),
    [
        ((RetryState.FAILED,), 7, RolloutStatus.COMPLETED),
        ((RetryState.SKIPPED,), 7, RolloutStatus.FAILED),
        ((RetryState.FAILED, RetryState.SKIPPED), 10, RolloutStatus.COMPLETED),
        (ALL_STATES, 10, RolloutStatus.COMPLETED),
    ],
)
def test_a_retry_takes_the_devices_in_the_chosen_states(
    states: tuple[RetryState, ...], completed: int, status: RolloutStatus
) -> None:
    world, rollout_id = fail_and_skip()
    commands.retry(world.services, rollout_id, ADA, states=states)
    over = world.until_over(rollout_id)
    assert (over.status, over.counts.completed) == (status, completed)
    check_counters(world, rollout_id)


def test_a_device_that_was_skipped_is_not_called_skipped_any_more() -> None:
    world, rollout_id = fail_and_skip()
    commands.retry(world.services, rollout_id, ADA, states=[RetryState.SKIPPED])
    update = world.update(rollout_id, "d-003")
    assert (update.state, update.skip_reason, update.ended_at) == (DeviceState.QUEUED, None, None)


def test_a_retry_of_chosen_devices_leaves_the_others_alone() -> None:
    world, rollout_id = fail_and_skip()
    commands.retry(
        world.services, rollout_id, ADA, states=ALL_STATES, device_ids=["d-001", "d-004"]
    )
    over = world.until_over(rollout_id)
    assert (over.counts.completed, over.counts.failed, over.counts.skipped) == (6, 2, 2)
    tried_again = {item.device_id for item in world.updates(rollout_id) if item.attempt == 2}
    assert tried_again == {"d-001", "d-004"}


def test_chosen_devices_of_many_blocks_are_all_tried_again() -> None:
    world, rollout_id, bad = fail_in_many_blocks()
    chosen = bad[::2]
    commands.retry(world.services, rollout_id, ADA, device_ids=chosen)
    world.until_over(rollout_id, ticks=1000)
    again = {item.device_id for item in world.updates(rollout_id) if item.attempt == 2}
    assert again == set(chosen)


def test_unknown_devices_are_listed_and_nothing_is_queued() -> None:
    world, rollout_id = fail_and_skip()
    before = world.rollout(rollout_id)
    with pytest.raises(InvalidError) as caught:
        commands.retry(world.services, rollout_id, ADA, device_ids=["d-000", "ghost", "D-001"])
    assert [item.pointer for item in caught.value.fields] == ["/deviceIds/1", "/deviceIds/2"]
    assert world.rollout(rollout_id) == before


def test_devices_in_another_state_are_listed_and_nothing_is_queued() -> None:
    world, rollout_id = fail_and_skip()
    before = world.rollout(rollout_id)
    with pytest.raises(ConflictError) as caught:
        commands.retry(world.services, rollout_id, ADA, device_ids=["d-000", "d-003", "d-009"])
    assert [(item.pointer, item.detail) for item in caught.value.fields] == [
        ("/deviceIds/1", "'d-003' is skipped (offline)"),
        ("/deviceIds/2", "'d-009' is completed"),
    ]
    assert world.rollout(rollout_id) == before


def test_a_retry_without_devices_in_its_states_names_the_states_that_have_some() -> None:
    world = World([device("a", online=False)])
    rollout_id = world.create(SKIP_OFFLINE).rollout.id
    world.until_over(rollout_id)
    with pytest.raises(ConflictError, match="1 skipped"):
        commands.retry(world.services, rollout_id, ADA)


@pytest.mark.parametrize("reason", SkipReason)
def test_a_skipped_device_is_tried_again_unless_it_would_be_skipped_again(
    reason: SkipReason,
) -> None:
    world = World([device("a", online=False)])
    rollout_id = world.create(SKIP_OFFLINE).rollout.id
    world.until_over(rollout_id)
    store = world.stores.rollouts
    snapshot = store.get_blocks(required(store.get(rollout_id), "a rollout"), [0])
    skipped = snapshot.blocks[0].apply(lambda update: update._replace(skip_reason=reason))
    revision = snapshot.rollout.revision + 1
    summaries = (BlockSummary(due_at=None, revision=revision),)
    changed = replace(snapshot.rollout, revision=revision, block_summaries=summaries)
    store.save(snapshot, changed, [skipped])
    world.hub.reconnect("a")
    if reason is SkipReason.ALREADY_RUNNING:
        before = world.rollout(rollout_id)
        with pytest.raises(ConflictError, match="No device can be queued again"):
            commands.retry(world.services, rollout_id, ADA, states=[RetryState.SKIPPED])
        assert world.rollout(rollout_id) == before
    else:
        commands.retry(world.services, rollout_id, ADA, states=[RetryState.SKIPPED])
        assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED


# -- a rollout that was cancelled


def test_a_cancelled_rollout_goes_on_with_the_devices_that_had_not_started() -> None:
    world = World(devices(30))
    strategy = Strategy(waves=(WavePlan(size=5),), max_in_flight=8)
    rollout_id = world.create(strategy).rollout.id
    world.ticks(1)
    commands.cancel(world.services, rollout_id, ADA)
    assert world.until_over(rollout_id).counts.cancelled == 25
    commands.retry(world.services, rollout_id, ADA, states=[RetryState.CANCELLED])
    over = world.until_over(rollout_id)
    assert (over.status, over.counts.completed) == (RolloutStatus.COMPLETED, 30)
    assert world.hub.started == 30


@pytest.mark.parametrize("number", [20, 450])
def test_a_cancelled_rollout_can_be_retried_while_devices_are_still_under_way(number: int) -> None:
    world = World(devices(number, stage=60))
    rollout_id = world.create(Strategy(max_in_flight=8)).rollout.id
    world.ticks(1)
    commands.cancel(world.services, rollout_id, ADA)
    rollout = commands.retry(world.services, rollout_id, ADA, states=[RetryState.CANCELLED])
    assert (rollout.status, rollout.counts.cancelled) == (RolloutStatus.RUNNING, 0)
    over = world.until_over(rollout_id, ticks=3000)
    assert (over.status, over.counts.completed) == (RolloutStatus.COMPLETED, number)


def test_a_retry_of_a_rollout_that_was_cancelled_before_its_start_time_waits_for_it() -> None:
    world = World(devices(5))
    request = world.request(start_at=NOON + timedelta(hours=1))
    rollout_id = create(world.services, request, None).rollout.id
    commands.cancel(world.services, rollout_id, ADA)
    rollout = commands.retry(world.services, rollout_id, ADA, states=[RetryState.CANCELLED])
    assert rollout.status is RolloutStatus.SCHEDULED
    world.ticks(5)
    assert world.hub.started == 0
    world.pass_time(hours=1)
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED


def test_a_retry_after_a_breach_that_cancelled_goes_on_behind_the_failed_canary() -> None:
    """The failed devices of the canary were not chosen: the caller has acknowledged them."""
    world = World(devices(40))
    gate = FailureGate(on_breach=OnBreach.CANCEL)
    strategy = Strategy(waves=(WavePlan(size=10),), failure_gate=gate)
    rollout_id = world.create(strategy).rollout.id
    canary = [item.device_id for item in world.updates(rollout_id) if item.wave == 0]
    set_fault(world, canary, Fault.FAILING)
    assert world.until_over(rollout_id).status is RolloutStatus.CANCELLED
    commands.retry(world.services, rollout_id, ADA, states=[RetryState.CANCELLED])
    over = world.until_over(rollout_id)
    assert (over.status, over.counts.completed) == (RolloutStatus.COMPLETED, 30)


def test_a_retry_of_a_cancelled_rollout_with_the_failed_devices_waits_for_its_canary() -> None:
    world = World(devices(40))
    gate = FailureGate(on_breach=OnBreach.CANCEL)
    strategy = Strategy(waves=(WavePlan(size=10),), failure_gate=gate)
    rollout_id = world.create(strategy).rollout.id
    canary = [item.device_id for item in world.updates(rollout_id) if item.wave == 0]
    set_fault(world, canary, Fault.FAILING)
    world.until_over(rollout_id)
    commands.retry(world.services, rollout_id, ADA, states=ALL_STATES)
    over = world.until_over(rollout_id)
    assert (over.status, over.counts.failed) == (RolloutStatus.CANCELLED, 10)
    assert world.hub.started == 20


def test_a_rollout_that_is_rolled_back_is_not_retried() -> None:
    world = World(devices(20))
    earlier = replace(FIRMWARE, version="1.0.0")
    world.stores.catalogue.save(earlier)
    set_fault(world, ["d-000"], Fault.FAILING)
    rollout_id = world.create(Strategy(failure_gate=CALM)).rollout.id
    world.until_over(rollout_id)
    roll_back(world.services, rollout_id, ADA)
    with pytest.raises(ConflictError, match="rolled back"):
        commands.retry(world.services, rollout_id, ADA)


@pytest.mark.parametrize("number", [5, 1500])
def test_a_scheduled_rollout_is_not_retried(number: int) -> None:
    world = World(devices(number))
    request = world.request(start_at=NOON + timedelta(hours=1))
    rollout_id = create(world.services, request, None).rollout.id
    with pytest.raises(ConflictError, match="scheduled"):
        commands.retry(world.services, rollout_id, ADA, device_ids=["d-000"])


def test_a_retry_of_a_paused_rollout_keeps_its_failed_wave_for_the_resume() -> None:
    world = World(devices(40))
    strategy = Strategy(
        waves=(WavePlan(size=10),), offline=Offline(policy=OfflinePolicy.SKIP), max_in_flight=5
    )
    rollout_id = world.create(strategy).rollout.id
    canary = [item.device_id for item in world.updates(rollout_id) if item.wave == 0]
    set_fault(world, canary[:9], Fault.FAILING)
    world.hub.disconnect(canary[9])
    world.ticks(30)
    assert world.rollout(rollout_id).status is RolloutStatus.PAUSED
    commands.retry(world.services, rollout_id, ADA)
    world.ticks(5)
    rollout = world.rollout(rollout_id)
    assert rollout.status is RolloutStatus.PAUSED
    set_fault(world, canary, Fault.NONE)
    commands.run_command(world.services, rollout_id, operator_commands.resume, ADA)
    assert world.until_over(rollout_id).counts.completed >= 39


def test_a_rollout_that_failed_before_its_start_time_is_scheduled_again_by_a_retry() -> None:
    """A later rollout takes all its devices while it is paused, and is cancelled itself."""
    world = World(devices(3))
    start_at = NOON + timedelta(hours=1)
    rollout_id = create(world.services, world.request(start_at=start_at), None).rollout.id
    commands.run_command(world.services, rollout_id, operator_commands.pause, ADA)
    other = world.request(firmware=replace(FIRMWARE, version="3.0.0"), start_at=start_at)
    later_id = create(world.services, other, None).rollout.id
    assert world.until_over(rollout_id).status is RolloutStatus.FAILED
    commands.cancel(world.services, later_id, ADA)
    again = commands.retry(world.services, rollout_id, ADA, states=[RetryState.SKIPPED])
    assert (again.status, again.stops, again.counts.queued) == (RolloutStatus.SCHEDULED, (), 3)
    world.pass_time(hours=1)
    assert world.until_over(rollout_id).counts.completed == 3
