"""Test batches that are given up after the host's last attempt."""

from functions.rollouts.model.rollout import RolloutStatus
from functions.use_cases.dispatch import give_up
from tests.functions.use_cases.world import World, devices

ANOTHER = {"fwPackageUri": "https://x.example/2", "rolloutId": "another", "attempt": 1}


def test_a_batch_given_up_late_fails_no_device_that_was_invoked_and_waits() -> None:
    """Give up a batch after its devices were invoked and responded that they are busy."""
    world = World(devices(20))
    for found in world.hub.devices.values():
        found.receive_method(ANOTHER, world.now.timestamp())
    rollout_id = world.create().rollout.id
    (batch,) = world.advance()
    world.dispatch(batch)
    waiting = world.updates(rollout_id)
    give_up(world.services, batch, "five attempts")
    assert world.updates(rollout_id) == waiting
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED


def test_a_batch_given_up_after_its_devices_were_leased_again_fails_no_device() -> None:
    world = World(devices(20))
    rollout_id = world.create().rollout.id
    (lost,) = world.advance()
    world.pass_time(seconds=61)
    (again,) = world.advance()
    give_up(world.services, lost, "five attempts")
    world.dispatch(again)
    assert world.until_over(rollout_id).counts.completed == 20


def test_a_batch_that_is_given_up_twice_fails_its_devices_once() -> None:
    world = World(devices(20))
    rollout_id = world.create().rollout.id
    (batch,) = world.advance()
    give_up(world.services, batch, "five attempts")
    failed = world.updates(rollout_id)
    world.pass_time(seconds=5)
    give_up(world.services, batch, "five attempts")
    assert world.updates(rollout_id) == failed
    assert world.rollout(rollout_id).dispatch.leases == ()
