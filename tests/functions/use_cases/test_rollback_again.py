"""Test that a rollback that left devices can be followed by another one."""

import pytest

from functions.errors import ConflictError
from functions.rollouts.model.rollback import RolledBack
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Offline, OfflinePolicy, Strategy, WavePlan
from functions.use_cases import commands
from functions.use_cases.rollback import roll_back
from simulator.simulated_fleet.shares import Fault
from tests.cases.steps import ADA, reported_versions, require, roll_out
from tests.functions.use_cases.world import World, devices

WAVES = Strategy(waves=(WavePlan(size=5),))


def undone_rollout(strategy: Strategy = WAVES, count: int = 20) -> tuple[World, str]:
    """Bring devices from 1.0.0 to 2.4.0."""
    world = World(devices(count))
    roll_out(world, "1.0.0")
    undone = world.create(strategy).rollout.id
    require(world.until_over(undone).is_over, "the rollout is over")
    return world, undone


def test_a_cancelled_rollback_can_be_repeated_for_the_devices_left() -> None:
    world, undone = undone_rollout()
    back = roll_back(world.services, undone, ADA).rollout.id
    world.ticks(2)
    commands.cancel(world.services, back, ADA)
    done = world.until_over(back).counts.completed
    require("2.4.0" in reported_versions(world), "devices are left on 2.4.0")
    again = roll_back(world.services, undone, ADA).rollout
    assert again.total == 20 - done
    assert world.rollout(undone).rollback == RolledBack(again.id)
    world.until_over(again.id)
    assert reported_versions(world) == {"1.0.0"}
    created = again.audit.events[0].message
    assert f"{done} devices that rollout {back} has brought on (d-" in created


def test_a_rollback_that_skipped_devices_can_be_repeated_for_them() -> None:
    skipping = Strategy(offline=Offline(policy=OfflinePolicy.SKIP))
    world, undone = undone_rollout(skipping)
    for name in ("d-003", "d-004"):
        world.hub.disconnect(name)
    back = roll_back(world.services, undone, ADA).rollout.id
    assert world.until_over(back).counts.skipped == 2
    for name in ("d-003", "d-004"):
        world.hub.reconnect(name)
    again = roll_back(world.services, undone, ADA).rollout
    assert again.total == 2
    world.until_over(again.id)
    assert reported_versions(world) == {"1.0.0"}


def test_a_rollback_that_devices_failed_can_be_repeated_for_them() -> None:
    world, undone = undone_rollout(Strategy())
    world.hub.devices["d-007"].fault = Fault.FAILING
    back = roll_back(world.services, undone, ADA).rollout.id
    require(world.until_over(back).counts.failed == 1, "one device failed in the first rollback")
    world.hub.devices["d-007"].fault = Fault.NONE
    again = roll_back(world.services, undone, ADA).rollout
    assert "d-007" in {item.device_id for item in world.updates(again.id)}
    world.until_over(again.id)
    assert reported_versions(world) == {"1.0.0"}


def test_a_second_rollback_is_refused_while_the_first_is_open_with_the_next_step() -> None:
    world, undone = undone_rollout()
    back = roll_back(world.services, undone, ADA).rollout.id
    before = world.rollout(undone)
    with pytest.raises(ConflictError, match=f"already .* by rollout {back}. Wait .* or cancel it"):
        roll_back(world.services, undone, ADA)
    assert world.rollout(undone) == before


def test_a_second_rollback_is_refused_once_no_device_is_left_with_the_next_step() -> None:
    world, undone = undone_rollout()
    back = roll_back(world.services, undone, ADA).rollout.id
    require(world.until_over(back).status is RolloutStatus.COMPLETED, "it has completed")
    with pytest.raises(ConflictError, match=r"none runs 2\.4\.0 any more.*roll out the version"):
        roll_back(world.services, undone, ADA)
    assert world.rollout(undone).rollback == RolledBack(back)


def test_a_rollback_cancelled_before_it_was_prepared_can_be_repeated() -> None:
    """Cancel a rollback of more devices than a request finds, before its devices are written."""
    world, undone = undone_rollout(Strategy(), count=1_100)
    back = roll_back(world.services, undone, ADA).rollout
    require(back.resolution is not None, "its devices are not written yet")
    commands.cancel(world.services, back.id, ADA)
    again = roll_back(world.services, undone, ADA).rollout.id
    assert world.until_over(again).counts.completed == 1_100
