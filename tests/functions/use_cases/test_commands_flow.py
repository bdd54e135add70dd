"""Test operators' commands to rollouts that are under way."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from functions.errors import ConflictError, UnknownError
from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import Strategy, WavePlan, percent
from functions.rollouts.model.wave import WaveStatus
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands, read
from functions.use_cases.commands import Command
from functions.use_cases.create import create
from simulator.simulated_fleet.shares import Fault
from tests.functions.use_cases.world import NOON, World, device, devices

ADA = Caller("ada", "the site is closed")


def run_command(world: World, rollout_id: str, what: Command) -> Rollout:
    return commands.run_command(world.services, rollout_id, what, ADA)


def states(world: World, rollout_id: str) -> set[DeviceState]:
    return {update.state for update in world.updates(rollout_id)}


def make_failing_world(count: int) -> World:
    return World([device(f"d-{n:03}", fault=Fault.FAILING) for n in range(count)])


def repair(world: World) -> None:
    for found in world.hub.devices.values():
        found.fault = Fault.NONE


# -- pause and resume


def test_pause_stops_batches_that_are_in_the_queue_and_resume_lets_their_devices_go() -> None:
    world = World(devices(50))
    rollout_id = world.create().rollout.id
    batches = world.advance()
    run_command(world, rollout_id, operator_commands.pause)
    world.dispatch(*batches)
    world.ticks(20)
    assert world.hub.started == 0
    assert states(world, rollout_id) == {DeviceState.QUEUED}
    run_command(world, rollout_id, operator_commands.resume)
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED
    assert world.hub.started == 50


def test_what_has_started_is_followed_to_its_end_while_the_rollout_is_paused() -> None:
    world = World(devices(30))
    rollout_id = world.create(Strategy(max_in_flight=8)).rollout.id
    world.ticks(1)
    run_command(world, rollout_id, operator_commands.pause)
    world.ticks(20)
    rollout = world.rollout(rollout_id)
    assert rollout.status is RolloutStatus.PAUSED
    assert (rollout.counts.completed, rollout.counts.queued) == (8, 22)


def test_a_paused_rollout_whose_devices_have_all_ended_is_over() -> None:
    world = World(devices(5))
    rollout_id = world.create().rollout.id
    run_command(world, rollout_id, operator_commands.pause)
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED


def test_the_next_wave_does_not_open_while_the_rollout_is_paused() -> None:
    world = World(devices(20))
    rollout_id = world.create(Strategy(waves=(WavePlan(size=5),))).rollout.id
    world.ticks(1)
    run_command(world, rollout_id, operator_commands.pause)
    world.ticks(20)
    first, second = world.rollout(rollout_id).waves
    assert (first.status, second.status) == (WaveStatus.COMPLETED, WaveStatus.PENDING)
    run_command(world, rollout_id, operator_commands.resume)
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED


# -- cancel


def test_cancel_ends_what_is_queued_and_lets_what_has_started_finish() -> None:
    world = World(devices(30))
    rollout_id = world.create(Strategy(max_in_flight=8)).rollout.id
    world.ticks(1)
    rollout = commands.cancel(world.services, rollout_id, ADA)
    assert (rollout.status, rollout.is_over) == (RolloutStatus.CANCELLED, False)
    assert (rollout.counts.cancelled, rollout.counts.updating) == (22, 8)
    ended = world.until_over(rollout_id)
    assert (ended.status, ended.counts.completed) == (RolloutStatus.CANCELLED, 8)
    assert world.hub.started == 8


def test_the_timer_cancels_the_queued_devices_of_a_large_rollout() -> None:
    world = World(devices(450, stage=60))
    rollout_id = world.create(Strategy(max_in_flight=10)).rollout.id
    world.ticks(2)
    batches = world.advance()
    started = world.hub.started
    rollout = commands.cancel(world.services, rollout_id, ADA)
    assert (rollout.status, rollout.is_over) == (RolloutStatus.CANCELLED, False)
    assert rollout.counts.queued == 450 - started
    world.dispatch(*batches)
    world.ticks(1)
    assert world.rollout(rollout_id).counts.queued == 0
    ended = world.until_over(rollout_id)
    assert world.hub.started == started
    assert ended.counts.cancelled == 450 - ended.counts.completed


@pytest.mark.parametrize("number", [5, 250])
def test_a_rollout_cancelled_before_its_start_time_never_starts(number: int) -> None:
    world = World(devices(number))
    request = world.request(start_at=NOON + timedelta(hours=1))
    rollout_id = create(world.services, request, None).rollout.id
    commands.cancel(world.services, rollout_id, ADA)
    ended = world.until_over(rollout_id)
    assert (ended.status, ended.counts.cancelled) == (RolloutStatus.CANCELLED, number)
    assert ended.started_at is None
    world.ticks(1, seconds=3600)
    world.ticks(3)
    assert world.hub.started == 0


def test_a_device_under_way_is_not_tried_again_once_the_rollout_is_cancelled() -> None:
    world = World([device("a", hangs=True)])
    rollout_id = world.create(Strategy(timeout=timedelta(seconds=60))).rollout.id
    commands.cancel(world.services, rollout_id, ADA)
    assert world.until_over(rollout_id).status is RolloutStatus.CANCELLED
    assert world.update(rollout_id).state is DeviceState.CANCELLED
    assert world.hub.started == 1


# -- retry


def test_a_retry_reopens_an_ended_rollout_for_its_failed_devices_alone() -> None:
    bad = device("d-bad", fault=Fault.FAILING)
    world = World([*devices(20), bad])
    rollout_id = world.create(Strategy(success_share=percent(100))).rollout.id
    assert world.until_over(rollout_id).status is RolloutStatus.FAILED
    assert rollout_id not in world.stores.rollouts.list_open_ids()
    bad.fault = Fault.NONE
    commands.retry(world.services, rollout_id, ADA)
    assert rollout_id in world.stores.rollouts.list_open_ids()
    ended = world.until_over(rollout_id)
    assert (ended.status, ended.counts.completed) == (RolloutStatus.COMPLETED, 21)
    assert [attempt for _, attempt in bad.started] == [1, 2]
    assert world.hub.started == 22


def test_a_retry_of_a_completed_rollout_updates_its_failed_devices() -> None:
    bad = device("d-bad", fault=Fault.FAILING)
    world = World([*devices(20), bad])
    rollout_id = world.create(Strategy(success_share=percent(90))).rollout.id
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED
    assert commands.retry(world.services, rollout_id, ADA).status is RolloutStatus.RUNNING
    ended = world.until_over(rollout_id)
    assert (ended.status, ended.counts.failed) == (RolloutStatus.COMPLETED, 1)
    assert world.update(rollout_id, "d-bad").attempt == 2


def test_a_retry_of_a_paused_rollout_starts_nothing_before_it_is_resumed() -> None:
    world = make_failing_world(20)
    rollout_id = world.create(Strategy(waves=(WavePlan(size=5),))).rollout.id
    world.ticks(10)
    assert world.rollout(rollout_id).status is RolloutStatus.PAUSED
    repair(world)
    rollout = commands.retry(world.services, rollout_id, ADA)
    assert (rollout.status, rollout.counts.failed) == (RolloutStatus.PAUSED, 0)
    world.ticks(10)
    assert world.hub.started == 5
    run_command(world, rollout_id, operator_commands.resume)
    ended = world.until_over(rollout_id)
    assert (ended.status, ended.counts.completed) == (RolloutStatus.COMPLETED, 20)
    assert world.hub.started == 25


def test_a_retry_of_many_blocks_is_not_stopped_by_the_failures_that_it_retries() -> None:
    """Check that the gate does not judge between the writes that queue the devices again."""
    world = make_failing_world(600)
    rollout_id = world.create().rollout.id
    ended = world.until_over(rollout_id)
    assert (ended.status, ended.counts.failed) == (RolloutStatus.FAILED, 600)
    repair(world)
    rollout = commands.retry(world.services, rollout_id, ADA)
    assert (rollout.status, rollout.counts.queued) == (RolloutStatus.RUNNING, 600)
    again = world.until_over(rollout_id)
    assert (again.status, again.counts.completed) == (RolloutStatus.COMPLETED, 600)
    assert all(update.attempt == 2 for update in world.updates(rollout_id))


def test_the_gate_stops_a_retry_of_many_blocks_that_fail_again() -> None:
    world = make_failing_world(600)
    rollout_id = world.create().rollout.id
    world.until_over(rollout_id)
    commands.retry(world.services, rollout_id, ADA)
    world.until_over(rollout_id)
    events = [event.action for event in world.rollout(rollout_id).audit.events]
    assert events.count("paused") == 2


# -- who may do what, and who did


@pytest.mark.parametrize(
    "what", [operator_commands.pause, operator_commands.resume, operator_commands.approve]
)
def test_a_command_that_the_status_does_not_allow_is_a_conflict_and_changes_nothing(
    what: Command,
) -> None:
    world = World(devices(3))
    rollout_id = world.create().rollout.id
    before = world.until_over(rollout_id)
    attempts: list[Callable[[], object]] = [
        lambda: run_command(world, rollout_id, what),
        lambda: commands.cancel(world.services, rollout_id, ADA),
        lambda: commands.retry(world.services, rollout_id, ADA),
    ]
    for refused in attempts:
        with pytest.raises(ConflictError):
            refused()
    assert world.rollout(rollout_id) == before


def test_a_command_to_an_unknown_rollout_is_an_unknown_error() -> None:
    world = World([])
    with pytest.raises(UnknownError):
        run_command(world, "nowhere", operator_commands.pause)
    with pytest.raises(UnknownError):
        commands.cancel(world.services, "nowhere", ADA)
    with pytest.raises(UnknownError):
        commands.retry(world.services, "nowhere", ADA)


def test_the_audit_trail_names_each_command_with_its_caller_and_reason() -> None:
    world = make_failing_world(5)
    request = world.request(strategy=Strategy(waves=(WavePlan(size=2, approval=True),)))
    rollout_id = create(world.services, request, None).rollout.id
    for what in (operator_commands.approve, operator_commands.pause, operator_commands.resume):
        run_command(world, rollout_id, what)
    world.ticks(20)
    commands.retry(world.services, rollout_id, ADA)
    commands.cancel(world.services, rollout_id, ADA)
    trail = read.list_events(world.stores.rollouts, rollout_id, 100, None).items
    by_ada = [event for event in trail if event.by == "ada"]
    actions = ["approved", "paused", "resumed", "retried", "cancelled"]
    assert [event.action for event in by_ada] == actions
    assert all("the site is closed" in event.message for event in by_ada)
    assert trail[0].action == "created"


def test_an_audit_trail_that_outgrows_the_rollout_is_still_read_in_order_page_by_page() -> None:
    world = World([device("a", stage=600)])
    rollout_id = world.create().rollout.id
    for number in range(60):
        what = operator_commands.resume if number % 2 else operator_commands.pause
        commands.run_command(world.services, rollout_id, what, Caller(f"caller {number}"))
    assert len(world.rollout(rollout_id).audit.events) <= 40
    found: list[Event] = []
    cursor = None
    while True:
        page = read.list_events(world.stores.rollouts, rollout_id, 7, cursor)
        found += page.items
        cursor = page.cursor
        if cursor is None:
            break
    callers = [event.by for event in found if event.by.startswith("caller")]
    assert callers == [f"caller {number}" for number in range(60)]
    assert len(found) == world.rollout(rollout_id).audit.event_count
