"""Test that firmware that was rolled back is not sent again by a retry."""

import pytest

from functions.errors import ConflictError
from functions.rollouts.model.rollback import RollbackDue
from functions.rollouts.model.strategy import FailureGate, Share, Strategy, percent
from functions.use_cases import commands
from functions.use_cases.create import create
from functions.use_cases.rollback import roll_back
from simulator.simulated_fleet.shares import Fault
from tests.cases.steps import ADA, FACTORY, require
from tests.functions.builders import change
from tests.functions.use_cases.world import World, devices

CALM = FailureGate(acceptable=percent(50), unacceptable=percent(99))


def ended_rollout() -> tuple[World, str]:
    """Run a rollout to 20 devices, of which five fail."""
    world = World(devices(20))
    world.stores.catalogue.save(FACTORY)
    strategy = Strategy(failure_gate=CALM, success_share=Share(5000))
    rollout_id = create(world.services, world.request(strategy=strategy), None).rollout.id
    for number in range(5):
        world.hub.devices[f"d-{number:03}"].fault = Fault.FAILING
    require(world.until_over(rollout_id).counts.failed == 5, "five devices failed")
    return world, rollout_id


@pytest.mark.parametrize("package_uri", [None, "https://packages.example/again.bin"])
def test_a_retry_of_a_rolled_back_rollout_is_refused_with_the_next_step(
    package_uri: str | None,
) -> None:
    world, rollout_id = ended_rollout()
    back = roll_back(world.services, rollout_id, ADA).rollout.id
    for over in (False, True):
        before = world.rollout(rollout_id)
        with pytest.raises(ConflictError, match=f"{back}.*2.4.0.*Create a new rollout"):
            commands.retry(world.services, rollout_id, ADA, package_uri=package_uri)
        assert world.rollout(rollout_id) == before, over
        world.until_over(back)


def test_a_retry_is_refused_while_a_rollback_is_only_decided() -> None:
    world, rollout_id = ended_rollout()
    snapshot = world.stores.rollouts.get(rollout_id)
    assert snapshot is not None
    world.stores.rollouts.save(snapshot, change(snapshot.rollout, rollback=RollbackDue()))
    with pytest.raises(ConflictError, match="is being rolled back"):
        commands.retry(world.services, rollout_id, ADA)


def test_a_rollout_without_a_rollback_can_be_retried() -> None:
    world, rollout_id = ended_rollout()
    for found in world.hub.devices.values():
        found.fault = Fault.NONE
    commands.retry(world.services, rollout_id, ADA)
    assert world.until_over(rollout_id).counts.completed == 20
