"""Check that a rollback goes one version back, also where the hub's query is behind.

For larger batches the version before is read from a query, which may be minutes old. Five devices
complete 2.0.0, seen by single reads. Within the query's lag a rollout of 3.0.0 to fifty devices
takes them along. Today it records 1.0.0 as their previous version, and its rollback installs
1.0.0. Nor would a return to 2.0.0 be noticed in the soak.
"""

from datetime import timedelta

import pytest

from functions.rollouts.model.firmware import Firmware
from functions.use_cases.create import create
from functions.use_cases.rollback import roll_back
from tests.cases.steps import ADA, FACTORY, require
from tests.functions.use_cases.world import World, devices

SECOND = Firmware(version="2.0.0", package_uri="https://packages.example/2.0.0.bin")
THIRD = Firmware(version="3.0.0", package_uri="https://packages.example/3.0.0.bin")


@pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="B8: the previous version is fresh, or unknown"
)
def test_a_rollback_goes_one_version_back() -> None:
    world = World(devices(50))
    world.stores.catalogue.save(FACTORY)
    world.hub.query_lag = timedelta(minutes=2)
    five = list(world.hub.devices)[:5]
    first = create(world.services, world.request(*five, firmware=SECOND), None).rollout.id
    require(world.until_over(first).counts.completed == 5, "five devices completed 2.0.0")
    second = create(world.services, world.request(firmware=THIRD), None).rollout.id
    require(world.until_over(second).counts.completed == 50, "all devices completed 3.0.0")
    before = {world.update(second, name).previous_version for name in five}
    back = roll_back(world.services, second, ADA).rollout.id
    world.until_over(back)
    now, running = world.now.timestamp(), set()
    for name in five:
        run = world.hub.devices[name].latest
        running.add(run.version_at(now) if run else None)
    assert running == {"2.0.0"}, f"previousVersion {before}; after the rollback they run {running}"
