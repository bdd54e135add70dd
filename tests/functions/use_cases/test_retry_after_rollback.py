"""Test that firmware that was rolled back is not sent again by a retry."""

import pytest

from functions.errors import ConflictError
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.pending_retry import RetryState
from functions.rollouts.model.rollback import RollbackDue
from functions.rollouts.model.strategy import FailureGate, Share, Strategy, percent
from functions.use_cases import commands, stratum_commands
from functions.use_cases.create import create
from functions.use_cases.rollback import roll_back
from simulator.simulated_fleet.shares import Fault
from tests.cases.steps import ADA, FACTORY, require, roll_out
from tests.functions.builders import change
from tests.functions.use_cases.test_frozen_strata import fleet, make_strategy
from tests.functions.use_cases.test_strata_rollback import make_frozen
from tests.functions.use_cases.test_strata_rollback import roll_back as roll_back_stratum
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


def rolled_back_stratum() -> tuple[World, str]:
    """Roll back stratum b of a rollout, whose first device completed and second one failed."""
    world, rollout_id = make_frozen()
    back = roll_back_stratum(world, rollout_id)
    require(world.until_over(back).is_over, "the rollback of the stratum is over")
    rollout = world.until_over(rollout_id)
    require(rollout.counts.cancelled > 0 and rollout.counts.failed > 0, "some of each are left")
    return world, rollout_id


def test_a_retry_of_devices_of_a_rolled_back_stratum_alone_is_refused() -> None:
    world, rollout_id = rolled_back_stratum()
    before = world.rollout(rollout_id)
    for state in (RetryState.CANCELLED, RetryState.FAILED):
        with pytest.raises(ConflictError, match=r"Stratum b is rolled back.* firmware 2\.4\.0 ag"):
            commands.retry(world.services, rollout_id, ADA, states=[state])
    assert world.rollout(rollout_id) == before


def test_a_retry_that_names_a_device_of_a_rolled_back_stratum_is_refused() -> None:
    world, rollout_id = rolled_back_stratum()
    failed = next(item for item in world.updates(rollout_id) if item.error is not None)
    with pytest.raises(ConflictError) as refused:
        commands.retry(world.services, rollout_id, ADA, device_ids=[failed.device_id])
    (field,) = refused.value.fields
    assert field.pointer == "/deviceIds/0"
    assert field.detail.endswith("is of a stratum that is rolled back; create a new rollout")


def test_a_retry_leaves_devices_of_a_rolled_back_stratum_as_they_are() -> None:
    world = World(fleet(20, "b", "c"))
    roll_out(world, "1.0.0")
    rollout_id = world.create(make_strategy()).rollout.id
    world.ticks(5)
    roll_back_stratum(world, rollout_id)
    stratum_commands.cancel_strata(world.services, rollout_id, ADA, ["c"])
    cancelled = world.rollout(rollout_id).counts.cancelled
    before = of_stratum_b(world, rollout_id)
    again = commands.retry(world.services, rollout_id, ADA, states=[RetryState.CANCELLED])
    assert of_stratum_b(world, rollout_id) == before
    queued = again.counts.queued
    assert 0 < queued < cancelled
    (retried,) = (item for item in again.audit.events if item.action == "retried")
    assert retried.message == f"{queued} cancelled devices queued again by ada."


def of_stratum_b(world: World, rollout_id: str) -> list[DeviceUpdate]:
    return [item for item in world.updates(rollout_id) if item.device_id.startswith("b")]
