"""The process dies at every single call of a port, before it and after it; the outcome stands."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.rollouts.model import RolloutStatus, Strategy
from functions.use_cases.advance import advance
from functions.use_cases.create import STARTED_AT_ONCE_AT_MOST, create
from functions.use_cases.dispatch import dispatch
from tests.functions.fragile import CrashError, Fragile
from tests.functions.use_cases.world import World
from tests.functions.virtual_hub import VirtualDevice

STRATEGY = Strategy(timeout=timedelta(minutes=5))
# More calls than the longest of the flows below makes.
CALLS = 30


def make_world(devices: int, *, tutorial_only: bool) -> World:
    return World({f"d-{n}": VirtualDevice(tutorial_only=tutorial_only) for n in range(devices)})


def survive(world: World, port: str, at: int, *, after: bool) -> bool:
    """Create and follow a rollout with one crash on the way; whether there was one."""
    fragile = Fragile(getattr(world.services, port), at, after=after)
    changed: dict[str, Any] = {port: fragile}
    weak = replace(world.services, **changed)
    crashed = False
    try:
        create(weak, world.request(STRATEGY), "build-1")
        for _ in range(12):
            world.now += timedelta(seconds=10)
            for batch in advance(weak):
                dispatch(weak, batch)
    except CrashError:
        crashed = True
    return crashed


@pytest.mark.parametrize("tutorial_only", [False, True])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("port", ["hub", "store"])
@pytest.mark.parametrize("devices", [1, STARTED_AT_ONCE_AT_MOST + 2])
def test_a_crash_at_any_call_loses_no_device_and_updates_none_twice(
    devices: int, port: str, after: bool, tutorial_only: bool
) -> None:
    crashes = 0
    for at in range(1, CALLS):
        world = make_world(devices, tutorial_only=tutorial_only)
        crashes += survive(world, port, at, after=after)
        world.now += timedelta(minutes=3)  # past every lease: the host is started again
        creation = world.create(STRATEGY, key="build-1")
        ended = world.run(creation.rollout.id)
        assert ended.status is RolloutStatus.COMPLETED, (at, ended.status_reason)
        for device in world.hub.devices.values():
            assert len(device.started) == 1, (at, device.started)
            assert device.overlaps == 0
    assert crashes > 3
