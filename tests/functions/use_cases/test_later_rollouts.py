"""Test which later rollouts have reached, or are meant to reach, a rollout's devices."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from functions.rollouts.model.strategy import Offline, OfflinePolicy, Strategy, WavePlan
from functions.use_cases import commands
from functions.use_cases.create import create
from functions.use_cases.later_rollouts import find_superseding
from simulator.simulated_fleet.shares import Fault
from tests.cases.steps import ADA
from tests.functions.use_cases.world import World, devices

CANARY = Strategy(waves=(WavePlan(size=5),))


def create_for(world: World, *ids: str, strategy: Strategy = CANARY) -> str:
    world.pass_time(seconds=1)
    return create(world.services, world.request(*ids, strategy=strategy), None).rollout.id


def superseding(world: World, rollout_id: str) -> Mapping[str, str]:
    return find_superseding(world.stores, rollout_id, tuple(world.hub.devices))


def test_the_newest_rollout_of_each_device_is_found() -> None:
    world = World(devices(30))
    names = tuple(world.hub.devices)
    first, second, third = (create_for(world, *names[n:]) for n in (0, 10, 20))
    expected = dict.fromkeys(names[10:20], second) | dict.fromkeys(names[20:], third)
    assert superseding(world, first) == expected
    assert superseding(world, second) == dict.fromkeys(names[20:], third)
    assert superseding(world, third) == {}
    assert find_superseding(world.stores, first, names, ignore=[third]) == dict.fromkeys(
        names[10:], second
    )


def test_a_cancelled_rollout_counts_for_the_devices_that_it_has_reached() -> None:
    world = World(devices(20))
    first, second = create_for(world), create_for(world)
    world.tick()
    commands.cancel(world.services, second, ADA)
    reached = {item.device_id for item in world.updates(second) if item.dispatched_at}
    assert len(reached) == 5
    assert superseding(world, first).keys() == reached
    world.until_over(second)
    assert superseding(world, first).keys() == reached


def test_a_rollout_counts_for_the_devices_that_it_failed() -> None:
    world = World(devices(20))
    first, second = create_for(world), create_for(world, strategy=Strategy())
    for found in world.hub.devices.values():
        found.fault = Fault.FAILING
    world.ticks(30)
    assert superseding(world, first).keys() == world.hub.devices.keys()
    assert world.rollout(second).counts.failed


def test_a_rollout_does_not_count_for_the_devices_that_it_skipped() -> None:
    world = World(devices(20))
    world.hub.disconnect("d-003")
    skipping = Strategy(offline=Offline(policy=OfflinePolicy.SKIP, deadline=timedelta(days=1)))
    first, second = create_for(world), create_for(world, strategy=skipping)
    world.tick()
    assert world.rollout(second).counts.skipped == 1
    assert superseding(world, first).keys() == world.hub.devices.keys() - {"d-003"}


def test_a_large_rollout_counts_from_its_creation_on() -> None:
    world = World(devices(1500))
    first = create_for(world, "d-000", "d-001", strategy=Strategy())
    second = create_for(world, strategy=Strategy())
    assert world.rollout(second).resolution is not None
    assert superseding(world, first) == dict.fromkeys(world.hub.devices, second)
    commands.cancel(world.services, second, ADA)
    assert superseding(world, first) == {}


def test_a_rollout_whose_target_is_resolved_counts_beside_newer_ones() -> None:
    world = World(devices(1500))
    names = tuple(world.hub.devices)
    first = create_for(world, *names[:2], strategy=Strategy())
    second = create_for(world, strategy=Strategy())
    third = create_for(world, names[0], strategy=Strategy())
    create_for(world, names[5], strategy=Strategy())
    assert world.rollout(second).resolution is not None
    assert find_superseding(world.stores, first, names[:2]) == {names[0]: third, names[1]: second}


def test_nothing_is_read_of_the_history_for_no_devices() -> None:
    world = World(devices(5))
    first = create_for(world)
    targets: Any = world.stores.targets
    targets.find_later = None  # would raise an error
    assert find_superseding(world.stores, first, ()) == {}
