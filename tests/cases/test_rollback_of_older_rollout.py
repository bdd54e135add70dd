"""Check that a rollback leaves devices alone that a newer rollout has updated since.

1.0.0 -> 2.0.0 -> 3.0.0. Today the rollback of the first rollout takes every device from 3.0.0 to
1.0.0, and does not say so.
"""

from contextlib import suppress

import pytest

from functions.errors import ConflictError
from functions.use_cases.rollback import roll_back
from tests.cases.steps import ADA, FACTORY, reported_versions, roll_out
from tests.functions.use_cases.world import World, devices

pytestmark = pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="B1: devices that moved on stay"
)


def test_a_rollback_leaves_devices_alone_that_run_a_newer_version() -> None:
    world = World(devices(5))
    world.stores.catalogue.save(FACTORY)
    first = roll_out(world, "2.0.0")
    roll_out(world, "3.0.0")
    with suppress(ConflictError):  # refusing the rollback is right, too
        world.until_over(roll_back(world.services, first, ADA).rollout.id)
    now = world.now.timestamp()
    running = {d.latest.version_at(now) for d in world.hub.devices.values() if d.latest}
    assert running == {"3.0.0"}, f"they run {running} now"


def test_a_rollback_of_the_middle_of_three_rollouts_leaves_devices_alone() -> None:
    world = World(devices(3))
    roll_out(world, "1.0.0")
    middle = roll_out(world, "2.4.0")
    roll_out(world, "2.5.0")
    with suppress(ConflictError):
        world.until_over(roll_back(world.services, middle, ADA).rollout.id)
    assert reported_versions(world) == {"2.5.0"}
