"""Test what ticks learn of the hub's load, and what they spend of its quotas."""

from dataclasses import replace
from typing import Any

from functions.hub_gateway.port import Invocations
from functions.rollouts.model.measurements import HubLoad
from functions.rollouts.model.method_outcome import MethodResponse, Responded
from functions.rollouts.model.quotas import REPORTS_PER_UPDATE, Tier, quotas
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


def throttle(world: World) -> None:
    """Let the hub throttle one call of each later batch."""
    hub: Any = world.hub
    invoke = hub.invoke_all
    hub.invoke_all = lambda *arguments: replace(invoke(*arguments), throttled=1)


def test_throttled_calls_of_a_batch_slow_the_next_tick_down() -> None:
    world = World(devices(200), quotas(Tier.S3, 1))
    world.create()
    throttle(world)
    world.dispatch(*world.advance())
    world.advance()
    assert factor(world) == 0.5


def test_throttled_calls_during_a_tick_are_not_lost() -> None:
    world = World(devices(200), quotas(Tier.S3, 1))
    rollout_id = world.create().rollout.id
    first, second = world.advance()
    world.dispatch(first)
    throttle(world)
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


def test_queries_of_a_request_that_did_not_complete_its_target_are_deducted() -> None:
    world = World(devices(1_500))
    request = replace(world.request(), device_ids=(), condition="tags.site = 'berlin'")
    rollout = create(world.services, request, None).rollout
    assert rollout.resolution is not None
    assert rollout.measured.hub_load.queries == 10
    world.advance()
    assert world.rollout(rollout.id).resolution is None
    left, full = queries(world), world.services.limits.queries * 15
    # Five more queries resolved the rest, and one is for each of the batches of a hundred.
    assert left == full - 10 - 5 - 15


def test_the_load_of_a_batch_adds_up_until_the_next_tick() -> None:
    world = World(devices(200), quotas(Tier.S3, 1))
    rollout_id = world.create().rollout.id
    first, second = world.advance()
    throttle(world)
    world.dispatch(first, second)
    load = world.rollout(rollout_id).measured.hub_load
    assert (load.methods, load.throttled) == (200, 2)
    assert load.usage.reports == 200 * REPORTS_PER_UPDATE


def test_devices_that_refused_send_no_reports() -> None:
    world = World(devices(200), quotas(Tier.S3, 1))
    rollout_id = world.create().rollout.id
    hub: Any = world.hub
    refused = Responded(MethodResponse(status=300))
    hub.invoke_all = lambda _, payloads, *__: Invocations(outcomes=dict.fromkeys(payloads, refused))
    world.dispatch(*world.advance())
    load = world.rollout(rollout_id).measured.hub_load
    assert (load.methods, load.usage.reports) == (100, 0)


def test_ticks_with_calls_that_the_hub_took_make_the_next_ones_faster() -> None:
    world = World(devices(300), quotas(Tier.S3, 1))
    world.create()
    first, second, *_ = world.advance()
    hub: Any = world.hub
    invoke = hub.invoke_all
    throttle(world)
    world.dispatch(first)
    hub.invoke_all = invoke
    world.advance()
    assert factor(world) == 0.5
    world.pass_time(seconds=10)
    world.advance()
    assert factor(world) == 0.5
    world.dispatch(second)
    world.advance()
    assert factor(world) == 0.6
