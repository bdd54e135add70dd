"""Test what a rollout remembers of a batch that the hub failed before its methods."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from functions.dispatch_queue.port import Batch
from functions.errors import DailyQuotaError, HubRefusedError, HubUnavailableError
from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.usage import NO_USAGE
from tests.functions.use_cases.world import World, devices


def dispatch_with(error: Exception, *batches: Batch, world: World) -> None:
    """Dispatch batches while queries fail after they have used the hub."""
    hub: Any = world.hub
    read: Callable[..., Any] = hub.query_twins

    def fail(device_ids: Any) -> Any:
        read(device_ids)
        raise error

    hub.query_twins = fail
    world.dispatch(*batches)
    hub.query_twins = read


@pytest.mark.parametrize(
    ("error", "failed", "refused"),
    [(HubUnavailableError("503"), 1, 0), (HubRefusedError("401"), 1, 1)],
)
def test_it_counts_the_failure_and_what_it_used(
    error: Exception, failed: int, refused: int
) -> None:
    world = World(devices(20), still=True)
    rollout_id = world.create().rollout.id
    batches = world.advance()
    world.services.hub.take_usage()
    dispatch_with(error, *batches, world=world)
    load = world.rollout(rollout_id).measured.hub_load
    assert load.usage != NO_USAGE
    assert replace(load, usage=NO_USAGE) == HubLoad(
        failed=failed, refused=refused, example=str(error)
    )
    dispatch_with(error, *batches, world=world)
    load = world.rollout(rollout_id).measured.hub_load
    assert (load.failed, load.refused) == (2 * failed, 2 * refused)


def test_a_day_whose_messages_are_used_up_is_no_failure_of_the_hub() -> None:
    world = World(devices(20), still=True)
    rollout_id = world.create().rollout.id
    dispatch_with(DailyQuotaError("403"), *world.advance(), world=world)
    load = world.rollout(rollout_id).measured.hub_load
    assert load.usage != NO_USAGE
    assert replace(load, usage=NO_USAGE) == HubLoad()
