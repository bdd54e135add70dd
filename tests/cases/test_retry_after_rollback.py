"""Check that firmware that was rolled back is not sent again by a retry.

Today the retry sends the undone firmware to the devices that had failed, and those that complete
keep it: a second rollback is refused with 409, because the first one exists.
"""

import pytest

from functions.errors import ConflictError
from functions.rollouts.model.strategy import FailureGate, Share, Strategy, percent
from functions.use_cases import commands
from functions.use_cases.create import create
from functions.use_cases.rollback import roll_back
from simulator.simulated_fleet.shares import Fault
from tests.cases.steps import ADA, FACTORY, require
from tests.functions.use_cases.world import World, devices

CALM = FailureGate(acceptable=percent(50), unacceptable=percent(99))


def _refusal(world: World, rollout_id: str) -> str:
    """Return why a rollback of the rollout is refused; empty if it is not."""
    try:
        roll_back(world.services, rollout_id, ADA)
    except ConflictError as error:
        return str(error)
    return ""


@pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="B12: a retry after a rollback is refused"
)
def test_a_retry_does_not_send_firmware_that_was_rolled_back() -> None:
    world = World(devices(20))
    world.stores.catalogue.save(FACTORY)
    strategy = Strategy(failure_gate=CALM, success_share=Share(5000))
    rollout_id = create(world.services, world.request(strategy=strategy), None).rollout.id
    for number in range(5):
        world.hub.devices[f"d-{number:03}"].fault = Fault.FAILING
    require(world.until_over(rollout_id).counts.failed == 5, "five devices failed")
    back = roll_back(world.services, rollout_id, ADA).rollout.id
    require(world.until_over(back).is_over, "the rollback is over")
    for found in world.hub.devices.values():
        found.fault = Fault.NONE
    try:
        commands.retry(world.services, rollout_id, ADA)
    except ConflictError:
        return
    world.until_over(rollout_id)
    now, fleet = world.now.timestamp(), world.hub.devices.values()
    new = [d for d in fleet if d.latest and d.latest.version_at(now) == "2.4.0"]
    raise AssertionError(
        f"the retry was allowed; {len(new)} devices run what was rolled back;"
        f" a second rollback: {_refusal(world, rollout_id)}"
    )
