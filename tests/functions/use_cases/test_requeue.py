"""Test which chosen devices of a retry are refused."""

import pytest

from functions.errors import ConflictError
from functions.rollouts.model.pending_retry import RetryState
from functions.rollouts.rollout.retry import Selection
from functions.use_cases import requeue
from tests.functions.use_cases.world import World, devices


def test_devices_of_all_blocks_that_cannot_be_queued_again_are_listed() -> None:
    world = World(devices(150))
    rollout_id = world.create().rollout.id
    snapshot = world.stores.rollouts.get(rollout_id)
    assert snapshot is not None
    updates = world.updates(rollout_id)
    chosen = [updates[index].device_id for index in (120, 3, 140)]
    among = Selection(states=frozenset({RetryState.FAILED, RetryState.SKIPPED}))
    with pytest.raises(ConflictError, match="are failed or skipped, or") as caught:
        requeue.choose(world.services, snapshot, chosen, among)
    assert [(field.pointer, field.detail) for field in caught.value.fields] == [
        (f"/deviceIds/{index}", f"{device_id!r} is queued")
        for index, device_id in enumerate(chosen)
    ]
