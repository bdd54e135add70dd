"""Test targets that are too large for a request: ticks resolve and write them."""

import time as wall
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.errors import InvalidError, StorageUnavailableError
from functions.hub_gateway.port import ConditionError
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import ResolveTarget, Strategy, WavePlan
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands
from functions.use_cases.advance import advance
from functions.use_cases.create import create
from functions.use_cases.submit import submit
from tests.functions.fragile import CrashError, Fragile
from tests.functions.use_cases.world import World, device, devices


def listed(world: World, **more: Any) -> Any:
    return world.request(strategy=Strategy(waves=(WavePlan(size=50),)), **more)


def matching(world: World, **more: Any) -> Any:
    return replace(listed(world, **more), device_ids=(), condition="tags.site = 'berlin'")


@pytest.mark.parametrize("request_of", [listed, matching])
def test_a_rollout_with_a_large_target_is_scheduled_until_its_blocks_are_written(
    request_of: Any,
) -> None:
    world = World(devices(1_500))
    rollout_id = create(world.services, request_of(world), None).rollout.id
    rollout = world.rollout(rollout_id)
    assert rollout.status is RolloutStatus.SCHEDULED
    assert rollout.counts.total >= 1_000
    assert world.hub.started == 0
    ended = world.until_over(rollout_id)
    assert ended.counts.completed == ended.counts.total == 1_500
    assert len({item.device_id for item in world.updates(rollout_id)}) == 1_500


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("port", ["hub", "stores"])
@pytest.mark.parametrize("request_of", [listed, matching])
def test_a_crash_at_any_call_of_the_resolution_writes_each_device_once(
    request_of: Any, port: str, after: bool
) -> None:
    for at in range(1, 60):
        world = World(devices(1_250))
        rollout_id = create(world.services, request_of(world), None).rollout.id
        fragile: Any = Fragile(getattr(world.services, port), at, after=after)
        crashed = False
        try:
            for _ in range(3):
                advance(replace(world.services, **{port: fragile}))
        except CrashError:
            crashed = True
        world.queue.clear()
        world.pass_time(minutes=2)
        world.ticks(3)
        rollout = world.rollout(rollout_id)
        assert rollout.resolution is None
        names = [item.device_id for item in world.updates(rollout_id)]
        assert len(names) == len(set(names)) == rollout.total == 1_250
        if not crashed:
            break


def test_a_query_whose_cursor_the_hub_refuses_starts_again() -> None:
    world = World(devices(1_300))
    rollout_id = create(world.services, matching(world), None).rollout.id
    matches = world.hub.query_matching
    lost: list[str] = []

    def forgetful(condition: str, paths: Any, cursor: str | None) -> Any:
        if cursor is not None and not lost:
            lost.append(cursor)
            raise ConditionError("unknown continuation")
        return matches(condition, paths, cursor)

    world.hub.query_matching = forgetful  # type: ignore[method-assign]
    world.ticks(3)
    assert lost
    assert world.rollout(rollout_id).total == 1_300


def test_the_resolution_stays_within_the_query_quota() -> None:
    limits = quotas(Tier.S1, 1)
    world = World(devices(2_000), limits)
    create(world.services, matching(world), None)
    before = world.hub.operations.queries
    world.ticks(1)
    assert world.hub.operations.queries - before <= 5


def test_the_strata_of_a_large_list_are_queried() -> None:
    fleet = [device(f"d-{n:04}", stratum=f"m{n % 3}") for n in range(1_200)]
    world = World(fleet)
    request = world.request(
        strategy=Strategy(waves=(WavePlan(size=6),), stratify_by=("tags.model",))
    )
    rollout_id = create(world.services, request, None).rollout.id
    world.ticks(3)
    canaries = [item.device_id for item in world.updates(rollout_id) if item.wave == 0]
    strata = sorted(world.hub.devices[name].stratum for name in canaries)
    assert strata == ["m0", "m0", "m1", "m1", "m2", "m2"]
    assert world.rollout(rollout_id).strata == ("m0", "m1", "m2")
    for update in world.updates(rollout_id):
        assert f"m{update.stratum}" == world.hub.devices[update.device_id].stratum


def test_a_rollout_cancelled_during_its_resolution_is_over_and_starts_nothing() -> None:
    world = World(devices(1_500))
    rollout_id = create(world.services, listed(world), None).rollout.id
    rollout = commands.cancel(world.services, rollout_id, Caller("ada"))
    assert rollout.is_over
    world.ticks(5)
    assert world.hub.started == 0


def test_waves_that_do_not_fit_the_resolved_target_end_the_rollout_with_a_reason() -> None:
    world = World(devices(1_200))
    request = replace(matching(world), strategy=Strategy(waves=(WavePlan(size=5_000),)))
    rollout_id = create(world.services, request, None).rollout.id
    ended = world.until_over(rollout_id)
    assert ended.status is RolloutStatus.FAILED
    assert ended.status_reason is not None
    assert "5000" in ended.status_reason.message
    assert "1200" in ended.status_reason.message


def at_start(world: World) -> Any:
    strategy = Strategy(resolve_target=ResolveTarget.START)
    start_at = world.now + timedelta(hours=1)
    return replace(matching(world), strategy=strategy, start_at=start_at)


def test_a_condition_that_the_hub_rejects_at_the_start_ends_the_rollout_in_one_write() -> None:
    world = World(devices(3), still=True)
    before = create(world.services, at_start(world), None).rollout
    hub: Any = world.hub

    def refuse(*_: Any) -> Any:
        raise ConditionError("syntax error.")

    hub.query_matching = refuse
    world.pass_time(hours=1)
    advance(world.services)
    ended = world.rollout(before.id)
    message = "The rollout could not begin: syntax error."
    assert (ended.status, ended.ended_at) == (RolloutStatus.FAILED, world.now)
    assert (ended.revision, ended.resolution) == (before.revision + 1, None)
    assert ended.status_reason == Reason(code="target", message=message)
    event = ended.audit.events[-1]
    assert (event.action, event.at, event.message) == ("failed", world.now, message)


@pytest.mark.parametrize("paused", [False, True])
def test_a_condition_is_not_queried_before_the_start_or_in_a_pause(paused: bool) -> None:
    world = World(devices(3), still=True)
    rollout_id = create(world.services, at_start(world), None).rollout.id
    if paused:
        commands.run_command(world.services, rollout_id, operator_commands.pause, Caller("ada"))
    before = world.hub.operations.queries
    world.pass_time(hours=2 if paused else 0.999)
    advance(world.services)
    assert world.hub.operations.queries == before
    assert world.rollout(rollout_id).resolution is not None


@pytest.mark.parametrize("refusal", [ConditionError("syntax error"), None])
def test_an_invalid_condition_or_one_that_no_device_matches_is_refused(
    refusal: ConditionError | None,
) -> None:
    world = World([])
    hub: Any = world.hub
    if refusal is not None:

        def refuse(*_: Any) -> Any:
            raise refusal

        hub.query_matching = refuse
    request = replace(world.request("a"), device_ids=(), condition="nonsense")
    with pytest.raises(InvalidError) as caught:
        create(world.services, request, None)
    (field,) = caught.value.fields
    assert field.pointer == "/target/condition"
    assert str(refusal or "no device matches it") in field.detail
    assert world.stores.rollouts.list_open_ids() == []


def test_100_000_devices_are_accepted_at_once_and_written_later() -> None:
    world = World(devices(100_000))
    begun = wall.perf_counter()
    rollout_id = submit(world.services, listed(world), None).rollout.id
    assert wall.perf_counter() - begun < 5
    world.ticks(1)
    rollout = world.rollout(rollout_id)
    assert (rollout.total, len(rollout.block_summaries)) == (100_000, 1_000)


def test_a_rollout_of_a_few_thousand_devices_begins_with_its_request() -> None:
    world = World(devices(2_000))
    submit(world.services, world.request(), None)
    assert world.batches()


def test_a_repeated_request_with_the_same_key_creates_one_rollout() -> None:
    world = World(devices(3))
    first = submit(world.services, world.request(), "key")
    again = submit(world.services, world.request(), "key")
    assert (again.rollout.id, again.is_new) == (first.rollout.id, False)


def test_a_rollout_that_cannot_be_advanced_at_once_waits_for_the_next_tick() -> None:
    world = World(devices(30))
    controls: Any = world.stores.webhooks
    read_controls = controls.read_controls

    def fail() -> Any:
        raise StorageUnavailableError("503")

    store: Any = world.stores.rollouts
    add = store.add

    def add_and_fail(*arguments: Any, **more: Any) -> Any:
        controls.read_controls = fail
        return add(*arguments, **more)

    store.add = add_and_fail
    made = submit(world.services, world.request(), None)
    controls.read_controls = read_controls
    assert made.is_new
    assert world.hub.operations.methods == 0
    assert world.until_over(made.rollout.id).counts.completed == 30


def test_each_part_that_is_written_of_a_large_target_raises_the_revision() -> None:
    world = World(devices(1_500))
    rollout_id = create(world.services, listed(world), None).rollout.id
    before = world.rollout(rollout_id).revision
    while world.rollout(rollout_id).resolution is not None:
        world.advance()
        world.pass_time(seconds=10)
    assert world.rollout(rollout_id).revision > before


def test_the_devices_that_are_found_so_far_are_counted() -> None:
    world = World(devices(3_000), limits=quotas(Tier.S1, 1, 0.2))
    rollout_id = create(world.services, matching(world), None).rollout.id
    counted: list[int] = []
    while (resolution := world.rollout(rollout_id).resolution) is not None:
        found = world.stores.targets.get_parts(rollout_id, 0, resolution.parts)
        assert resolution.devices == len(found)
        counted.append(len(found))
        world.tick()
    assert len(set(counted)) > 1
