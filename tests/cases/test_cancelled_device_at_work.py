"""Check that a device between two attempts is followed to its end, and rolled back.

The device timed out and was queued again when the gate of the next wave was breached. Today it is
cancelled as not started. Its slow first attempt completes afterwards, and nothing
notices: the device runs the firmware that was rolled back, its record says that it was never
invoked, and the rollback leaves it out.
"""

from datetime import timedelta

import pytest

from functions.rollouts.model.rollback import RolledBack
from functions.rollouts.model.strategy import (
    FailureGate,
    OnBreach,
    Retry,
    Strategy,
    WavePlan,
    percent,
)
from functions.use_cases.create import create
from simulator.rehearsal.virtual_update import FACTORY_VERSION
from simulator.simulated_fleet.shares import Fault
from tests.cases.steps import FACTORY, SetUpError, require
from tests.functions.use_cases.world import World, devices

STRATEGY = Strategy(
    waves=(WavePlan(size=20),),
    success_share=percent(90),
    timeout=timedelta(minutes=10),
    failure_gate=FailureGate(on_breach=OnBreach.ROLLBACK),
    retry=Retry(initial_delay=timedelta(minutes=10), max_delay=timedelta(minutes=30)),
)


def _until_rolled_back(world: World, rollout_id: str) -> str:
    """Run ticks until the rollout's own rollback exists. Return the rollback's ID."""
    for _ in range(1000):
        rollback = world.rollout(rollout_id).rollback
        if isinstance(rollback, RolledBack):
            return rollback.rollback_id
        world.tick()
    raise SetUpError("the breach caused a rollback")


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="B7: a device is followed to its end; a rollback reads the twins of all ever invoked",
)
def test_a_rollback_reaches_every_device_that_started() -> None:
    world = World(devices(30))
    world.stores.catalogue.save(FACTORY)
    rollout_id = create(world.services, world.request(strategy=STRATEGY), None).rollout.id
    order = [item.device_id for item in world.updates(rollout_id)]
    slow = world.hub.devices[order[0]]
    slow.stage_seconds = (60, 60, 20 * 60, 60)  # slower than its timeout, and it succeeds
    for name in order[20:]:  # the next wave starts a minute later, and fails
        world.hub.devices[name].fault = Fault.FAILING
        world.hub.devices[name].stage_seconds = (60, 60, 460, 60)
    back_id = _until_rolled_back(world, rollout_id)
    world.until_over(back_id)
    world.ticks(120)
    require(slow.latest is not None, "the slow device has started")
    running = slow.latest.version_at(world.now.timestamp()) if slow.latest else ""
    update = world.update(rollout_id, order[0])
    assert running == FACTORY_VERSION, (
        f"it runs {running}; its record: {update.state}, attempt {update.attempt},"
        f" {update.explanation!r}; the rollback is {world.rollout(back_id).status}"
        f" with {world.rollout(back_id).total} devices"
    )
