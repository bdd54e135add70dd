"""What ticks learn of the hub from those who send, and what they spend of its quotas."""

from dataclasses import replace
from typing import Any

from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.quotas import Tier, quotas
from functions.use_cases.create import create
from tests.functions.use_cases.world import World, devices


def factor(world: World) -> float:
    stored = world.stores.budget.get()
    assert stored is not None
    return stored.record.factor


def queries(world: World) -> float:
    stored = world.stores.budget.get()
    assert stored is not None
    return stored.record.queries


def throttled(world: World) -> None:
    """From now on, the hub refuses a call of each batch."""
    hub: Any = world.hub
    invoke = hub.invoke_all
    hub.invoke_all = lambda *arguments: replace(invoke(*arguments), throttled=1)


def test_what_a_batch_sees_of_the_hub_slows_the_next_tick_down() -> None:
    world = World(devices(200), quotas(Tier.S3, 1))
    world.create()
    throttled(world)
    world.dispatch(*world.advance())
    world.advance()
    assert factor(world) == 0.5


def test_what_a_batch_sees_while_a_tick_looks_is_not_lost() -> None:
    world = World(devices(200), quotas(Tier.S3, 1))
    rollout_id = world.create().rollout.id
    first, second = world.advance()
    world.dispatch(first)
    throttled(world)
    store: Any = world.stores.rollouts
    save = store.save

    def racing(*arguments: Any) -> Any:
        store.save = save
        world.dispatch(second)
        return save(*arguments)

    store.save = racing
    world.advance()
    assert world.rollout(rollout_id).measured.hub_load == HubLoad()
    assert factor(world) == 0.5


def test_queries_that_a_request_spent_on_a_target_it_did_not_complete_are_taken_off() -> None:
    world = World(devices(1_500))
    request = replace(world.request(), device_ids=(), condition="tags.site = 'berlin'")
    rollout = create(world.services, request, None).rollout
    assert rollout.resolution is not None
    assert rollout.measured.hub_load.queries == 10
    world.advance()
    assert world.rollout(rollout.id).resolution is None
    left, full = queries(world), world.services.limits.queries * 15
    # Five more queries gathered the rest, and one is for each of the batches of a hundred.
    assert left == full - 10 - 5 - 15
