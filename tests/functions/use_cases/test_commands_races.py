"""Test commands that arrive during other changes: none is undone, and the counters stay correct."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from functions.errors import ConflictError
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Strategy, WavePlan
from functions.rollouts.model.wave import COUNTER_OF
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands
from functions.use_cases.commit_queue import CommitQueue
from functions.use_cases.dispatch import dispatch
from functions.use_cases.latest_snapshots import LatestSnapshots
from simulator.simulated_fleet.shares import Fault
from tests.functions.use_cases.world import World, device, devices

ADA = Caller("ada")
STOPPED = {"pause": RolloutStatus.PAUSED, "cancel": RolloutStatus.CANCELLED}


def stop(world: World, rollout_id: str, how: str) -> None:
    if how == "pause":
        commands.run_command(world.services, rollout_id, operator_commands.pause, ADA)
    else:
        commands.cancel(world.services, rollout_id, ADA)


@contextmanager
def before_save(world: World, number: int, other: Callable[[], object]) -> Iterator[None]:
    """Let `other` run right before the store's save of this number, or at the very end."""
    store: Any = world.stores.rollouts
    save, saves = store.save, count(1)

    def racing(*arguments: Any) -> Any:
        if next(saves) == number:
            store.save = save
            other()
        return save(*arguments)

    store.save = racing
    yield
    if store.save is racing:
        store.save = save
        other()


def check_counters(world: World, rollout_id: str) -> None:
    """Check that each wave's counters are those of its device updates."""
    updates = world.updates(rollout_id)
    for number, wave in enumerate(world.rollout(rollout_id).waves):
        tally = Counter(COUNTER_OF[item.state] for item in updates if item.wave == number)
        found = {name: getattr(wave.counts, name) for name in tally}
        assert found == tally
        assert wave.counts.total == wave.size


@pytest.mark.parametrize("how", ["pause", "cancel"])
@pytest.mark.parametrize("number", range(1, 6))
def test_a_command_during_any_write_of_a_tick_holds(number: int, how: str) -> None:
    world = World(devices(60))
    rollout_id = world.create(Strategy(max_in_flight=20)).rollout.id
    world.ticks(3)
    with before_save(world, number, lambda: stop(world, rollout_id, how)):
        world.ticks(2)
    check_counters(world, rollout_id)
    begun = world.hub.started
    world.ticks(10)
    rollout = world.rollout(rollout_id)
    assert rollout.status is STOPPED[how]
    assert world.hub.started == begun == rollout.counts.completed
    check_counters(world, rollout_id)


@pytest.mark.parametrize("how", ["pause", "cancel"])
def test_a_command_between_the_read_and_the_claim_of_a_batch_starts_nothing(how: str) -> None:
    world = World(devices(40))
    rollout_id = world.create().rollout.id
    batches = world.advance()
    with before_save(world, 1, lambda: stop(world, rollout_id, how)):
        world.dispatch(*batches)
    assert world.hub.started == 0
    check_counters(world, rollout_id)
    assert world.rollout(rollout_id).status is STOPPED[how]


@pytest.mark.parametrize("how", ["pause", "cancel"])
def test_a_command_while_methods_are_invoked_loses_no_response(how: str) -> None:
    world = World([*devices(39), device("refuses")])
    world.hub.devices["refuses"].receive_method(  # busy with something else
        {"fwPackageUri": "https://x.example/1"}, world.now.timestamp()
    )
    rollout_id = world.create().rollout.id
    batches = world.advance()
    with before_save(world, 2, lambda: stop(world, rollout_id, how)):
        world.dispatch(*batches)
    rollout = world.rollout(rollout_id)
    assert (rollout.status, rollout.counts.updating) == (STOPPED[how], 39)
    check_counters(world, rollout_id)
    world.ticks(20)
    assert world.rollout(rollout_id).counts.completed == 39
    check_counters(world, rollout_id)


@pytest.mark.parametrize("how", ["pause", "cancel"])
def test_a_command_while_the_request_still_sends_its_methods_holds(how: str) -> None:
    world = World(devices(8))
    invoke: Any = world.hub.invoke_all
    patched: Any = world.hub

    def slow(*arguments: Any) -> Any:
        invocations = invoke(*arguments)
        (rollout_id,) = world.stores.rollouts.list_open_ids()
        stop(world, rollout_id, how)
        return invocations

    patched.invoke_all = slow
    creation = world.create(Strategy(waves=(WavePlan(size=3),)))
    patched.invoke_all = invoke
    assert creation.rollout.status is STOPPED[how]
    assert creation.rollout.counts.updating == 3
    check_counters(world, creation.rollout.id)
    world.ticks(10)
    rollout = world.rollout(creation.rollout.id)
    assert (rollout.status, rollout.counts.completed) == (STOPPED[how], 3)
    check_counters(world, creation.rollout.id)


def test_a_retry_and_the_tick_that_leases_its_devices_start_each_device_once() -> None:
    world = World([device(f"d-{n:03}", fault=Fault.FAILING) for n in range(40)])
    rollout_id = world.create().rollout.id
    world.until_over(rollout_id)
    for found in world.hub.devices.values():
        found.fault = Fault.NONE
    commands.retry(world.services, rollout_id, ADA)
    with before_save(world, 1, lambda: world.ticks(1)):
        world.ticks(1)
    assert world.until_over(rollout_id).counts.completed == 40
    assert all(len(found.started) == 2 for found in world.hub.devices.values())
    check_counters(world, rollout_id)


def test_a_retry_that_races_with_failures_forgets_no_device() -> None:
    fleet = [device(f"d-{n}", fault=Fault.FAILING, stage=5 + 5 * n) for n in range(4)]
    world = World(fleet)
    rollout_id = world.create().rollout.id
    while not world.rollout(rollout_id).counts.failed:
        world.ticks(1)
    with before_save(world, 1, lambda: world.ticks(2)):
        commands.retry(world.services, rollout_id, ADA)
    check_counters(world, rollout_id)
    found = {item.device_id: item for item in world.updates(rollout_id)}
    assert (found["d-0"].attempt, found["d-0"].state) == (2, DeviceState.QUEUED)
    for item in fleet:
        item.fault = Fault.NONE
    while world.rollout(rollout_id).status is not RolloutStatus.COMPLETED:
        world.ticks(10)
        with suppress(ConflictError):
            commands.retry(world.services, rollout_id, ADA)
        with suppress(ConflictError):
            commands.run_command(world.services, rollout_id, operator_commands.resume, ADA)
        check_counters(world, rollout_id)
    assert all(len(set(item.started)) == len(item.started) for item in fleet)


def test_a_pause_between_two_dispatches_of_a_batch_starts_no_device_twice() -> None:
    world = World(devices(30))
    rollout_id = world.create().rollout.id
    (batch,) = world.advance()

    def other() -> None:
        dispatch(world.services, batch)
        stop(world, rollout_id, "pause")

    with before_save(world, 1, other):
        dispatch(world.services, batch)
    assert all(len(found.started) == 1 for found in world.hub.devices.values())
    assert world.rollout(rollout_id).status is RolloutStatus.PAUSED
    check_counters(world, rollout_id)


def test_a_tick_whose_write_comes_second_observes_the_devices_of_all_blocks() -> None:
    world = World(devices(250, stage=20))
    rollout_id = world.create(Strategy()).rollout.id
    while world.rollout(rollout_id).counts.queued:
        world.tick()
    world.pass_time(minutes=5)
    other = replace(world.services, commits=CommitQueue(), latest=LatestSnapshots())

    def pause() -> None:
        commands.run_command(other, rollout_id, operator_commands.pause, ADA)

    with before_save(world, 1, pause):
        for _ in range(10):
            world.advance()
            world.pass_time(seconds=10)
    assert world.rollout(rollout_id).counts.completed == 250
    check_counters(world, rollout_id)
