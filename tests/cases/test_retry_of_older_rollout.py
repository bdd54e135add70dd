"""Check that a retry brings no older firmware to a device that a newer rollout has updated.

Today the retry takes the device from 2.5.0 to 2.4.0.
"""

from functions.use_cases import commands
from simulator.simulated_fleet.shares import Fault
from tests.cases.steps import ADA, reported_versions, require, roll_out
from tests.functions.use_cases.world import World, devices


def test_a_retry_does_not_bring_older_firmware_to_a_device_that_has_moved_on() -> None:
    world = World(devices(3))
    world.hub.devices["d-000"].fault = Fault.FAILING
    first = roll_out(world, "2.4.0")
    world.hub.devices["d-000"].fault = Fault.NONE
    roll_out(world, "2.5.0")
    require(reported_versions(world) == {"2.5.0"}, "all devices run 2.5.0")
    commands.retry(world.services, first, ADA)
    world.until_over(first)
    assert reported_versions(world) == {"2.5.0"}
