"""Test crashes before and after every single call of a port: the outcome stays the same."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.rollouts.model.rollback import RollbackDue
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import FailureGate, OnBreach, Strategy, WavePlan
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import rollback
from functions.use_cases.advance import advance
from functions.use_cases.create import create
from functions.use_cases.dispatch import dispatch
from functions.use_cases.services import Services
from simulator.simulated_fleet.shares import Fault
from tests.functions.fragile import CrashError, Fragile
from tests.functions.use_cases.world import World, device, devices

STRATEGY = Strategy(timeout=timedelta(minutes=5))
# More calls than the longest of the flows below makes.
CALLS = 400
# A flow of two blocks is interrupted at every fourth call of the stores; each of its four
# parametrizations begins at another one.
LARGE, LARGE_STEP = 101, 4
PORTS = ("hub", "stores", "queue")


def make_fragile(world: World, port: str, at: int, *, after: bool) -> Services:
    fragile: Any = Fragile(getattr(world.services, port), at, after=after)
    return replace(world.services, **{port: fragile})


def run_ticks(world: World, services: Services, ticks: int = 12) -> None:
    for _ in range(ticks):
        advance(services)
        for batch in world.batches():
            dispatch(services, batch)
        world.pass_time(seconds=10)


@pytest.mark.parametrize("tutorial_only", [False, True])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("number", [1, 12, LARGE])
def test_a_crash_at_any_call_loses_no_device_and_updates_none_twice(
    number: int, port: str, after: bool, tutorial_only: bool
) -> None:
    many_calls = number == LARGE and port == "stores"
    first, step = (1 + 2 * after + tutorial_only, LARGE_STEP) if many_calls else (1, 1)
    for at in range(first, CALLS, step):
        world = World(devices(number, tutorial_only=tutorial_only))
        weak = make_fragile(world, port, at, after=after)
        crashed = False
        try:
            create(weak, world.request(strategy=STRATEGY), "build-1")
            run_ticks(world, weak)
        except CrashError:
            crashed = True
        world.queue.clear()
        world.pass_time(minutes=3)  # every lease has expired: the host restarts
        creation = world.create(STRATEGY, key="build-1")
        ended = world.until_over(creation.rollout.id)
        assert ended.status is RolloutStatus.COMPLETED, (at, ended.status_reason)
        for found in world.hub.devices.values():
            assert len(found.started) == 1, (at, found.started)
            assert found.overlaps == 0
        if not crashed:  # there were no more calls
            break
    assert at > first or (port == "queue" and number == 1)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("port", ["hub", "stores"])
def test_a_crash_anywhere_in_a_rollback_creates_one_rollback(port: str, after: bool) -> None:
    crashes = 0
    for at in range(1, 40):
        world = World(devices(3))
        first = world.create()
        world.until_over(first.rollout.id)
        world.stores.catalogue.save(
            replace(first.rollout.firmware, version="1.0.0", package_uri="https://x.example/1")
        )
        weak = make_fragile(world, port, at, after=after)
        crashed = False
        try:
            rollback.roll_back(weak, first.rollout.id, Caller("operator"))
        except CrashError:
            crashed = True
            crashes += 1
            world.pass_time(minutes=3)
            if world.rollout(first.rollout.id).rollback is None:
                continue
            if isinstance(world.rollout(first.rollout.id).rollback, RollbackDue):
                rollback.roll_back(world.services, first.rollout.id, Caller("operator"))
        found = world.stores.rollouts.list_rollouts(None, 10, None).items
        back = [item for item in found if item.definition.rollback_of == first.rollout.id]
        assert len(back) == 1, at
        assert world.until_over(back[0].id).status is RolloutStatus.COMPLETED
        for item in world.hub.devices.values():
            assert len(item.started) == 2
        if not crashed:
            break
    assert crashes > 1


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_in_a_tick_that_stops_a_bad_firmware_still_stops_it(after: bool) -> None:
    """Stop a tick at each call while every device fails; the other devices never start."""
    strategy = Strategy(
        waves=(WavePlan(size=5),), failure_gate=FailureGate(on_breach=OnBreach.CANCEL)
    )
    for at in range(1, CALLS):
        fleet = [device(f"d-{n:03}", fault=Fault.FAILING) for n in range(60)]
        world = World(fleet)
        rollout_id = world.create(strategy).rollout.id
        weak = make_fragile(world, "stores", at, after=after)
        crashed = False
        try:
            run_ticks(world, weak)
        except CrashError:
            crashed = True
            world.queue.clear()
            world.pass_time(minutes=3)
        ended = world.until_over(rollout_id)
        assert ended.status is RolloutStatus.CANCELLED
        assert sum(len(item.started) for item in fleet) <= 5
        assert ended.counts.cancelled == 55
        if not crashed:
            break
    assert at > 1
