"""Check that a device that is deleted while it waits leaves the rollout.

Today it counts as offline for 7 days.
"""

from datetime import timedelta

import pytest

from tests.cases.steps import require
from tests.functions.use_cases.world import World, devices


@pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="C2: a deleted device leaves the rollout"
)
def test_a_device_that_is_deleted_while_it_waits_is_not_waited_for() -> None:
    world = World(devices(3))
    world.hub.disconnect("d-000")
    rollout_id = world.create().rollout.id
    world.ticks(10)
    del world.hub.devices["d-000"]
    for _ in range(24):
        world.tick(timedelta(hours=1))
    found = world.rollout(rollout_id)
    require(found.counts.completed == 2, "the other devices completed")
    assert found.is_over, f"{found.status}: {found.counts}"
