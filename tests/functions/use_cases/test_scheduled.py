"""Test rollouts with a start time: their pause, and a target that is resolved at the start."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from functions.errors import ConflictError, InvalidError
from functions.hub_gateway.port import ConditionError
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import ResolveTarget, Strategy, WavePlan
from functions.rollouts.rollout import operator_commands
from functions.use_cases import commands
from functions.use_cases.advance import advance
from functions.use_cases.create import create
from functions.use_cases.plan import plan
from functions.use_cases.rollback import roll_back
from tests.cases.steps import ADA, FACTORY
from tests.functions.use_cases.world import NOON, PLENTY, USUAL_WARNINGS, World, device, devices

AT_START = Strategy(resolve_target=ResolveTarget.START)
START = NOON + timedelta(hours=1)
CONDITION = "tags.site = 'berlin'"


def schedule(world: World, strategy: Strategy | None = None, **more: Any) -> str:
    more = {"start_at": START, "strategy": strategy or Strategy(), **more}
    return create(world.services, world.request(**more), None).rollout.id


def schedule_condition(world: World, strategy: Strategy = AT_START, **more: Any) -> str:
    more = {"device_ids": (), "condition": CONDITION, **more}
    return schedule(world, strategy, **more)


def pause(world: World, rollout_id: str) -> Rollout:
    return commands.run_command(world.services, rollout_id, operator_commands.pause, ADA)


def resume(world: World, rollout_id: str) -> Rollout:
    return commands.run_command(world.services, rollout_id, operator_commands.resume, ADA)


# -- pause and resume


def test_a_scheduled_rollout_that_is_resumed_before_its_start_time_waits_for_it() -> None:
    world = World(devices(5))
    rollout_id = schedule(world)
    assert pause(world, rollout_id).status is RolloutStatus.PAUSED
    assert resume(world, rollout_id).status is RolloutStatus.SCHEDULED
    world.ticks(3)
    assert world.hub.started == 0
    world.pass_time(hours=1)
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED


def test_a_scheduled_rollout_that_is_paused_does_not_start_at_its_start_time() -> None:
    world = World(devices(5))
    rollout_id = schedule(world)
    pause(world, rollout_id)
    world.pass_time(hours=2)
    world.ticks(5)
    rollout = world.rollout(rollout_id)
    assert (world.hub.started, rollout.status) == (0, RolloutStatus.PAUSED)
    assert rollout.started_at is None
    resumed = resume(world, rollout_id)
    assert (resumed.status, resumed.started_at is None) == (RolloutStatus.RUNNING, False)
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED


@pytest.mark.parametrize("resumes_after", [0, 5])
def test_a_rollout_that_is_paused_while_its_target_is_resolved_does_not_start(
    resumes_after: int,
) -> None:
    world = World(devices(1500), PLENTY)
    request = world.request(device_ids=(), condition=CONDITION)
    rollout_id = create(world.services, request, None).rollout.id
    assert world.rollout(rollout_id).resolution is not None
    pause(world, rollout_id)
    world.ticks(resumes_after)
    assert (world.hub.started, world.rollout(rollout_id).status) == (0, RolloutStatus.PAUSED)
    if resumes_after:
        assert world.rollout(rollout_id).total == 1500
    resume(world, rollout_id)
    assert world.until_over(rollout_id, ticks=1000).counts.completed == 1500


def test_a_scheduled_rollout_that_is_paused_can_be_cancelled_and_not_paused_again() -> None:
    world = World(devices(5))
    rollout_id = schedule(world)
    pause(world, rollout_id)
    with pytest.raises(ConflictError):
        pause(world, rollout_id)
    assert commands.cancel(world.services, rollout_id, ADA).status is RolloutStatus.CANCELLED
    assert world.until_over(rollout_id).counts.cancelled == 5


# -- a target that is resolved at the start


def test_a_condition_is_evaluated_at_the_start_time() -> None:
    world = World(devices(5))
    rollout_id = schedule_condition(world)
    assert world.rollout(rollout_id).counts.total == 0
    world.ticks(3)
    assert world.rollout(rollout_id).resolution is not None
    world.hub.devices["late"] = device("late")
    world.hub._ids.append("late")  # noqa: SLF001 - a device that is registered later
    world.hub.devices.pop("d-000")
    world.hub._ids.remove("d-000")  # noqa: SLF001 - a device that is deleted meanwhile
    world.pass_time(hours=1)
    over = world.until_over(rollout_id)
    assert (over.status, over.counts.completed) == (RolloutStatus.COMPLETED, 5)
    assert "late" in {item.device_id for item in world.updates(rollout_id)}


def test_a_condition_that_matches_no_device_at_the_start_fails_with_the_reason() -> None:
    world = World([])
    rollout_id = schedule_condition(world)
    world.ticks(2)
    assert world.rollout(rollout_id).status is RolloutStatus.SCHEDULED
    world.pass_time(hours=1)
    over = world.until_over(rollout_id)
    assert over.status_reason is not None
    assert (over.status, over.status_reason.code) == (RolloutStatus.FAILED, "target")
    assert "no device matched" in over.status_reason.message


def test_waves_that_do_not_fit_at_the_start_fail_with_the_reason() -> None:
    world = World(devices(3))
    strategy = Strategy(resolve_target=ResolveTarget.START, waves=(WavePlan(size=10),))
    rollout_id = schedule_condition(world, strategy)
    world.pass_time(hours=1)
    over = world.until_over(rollout_id)
    assert (over.status, over.ended_at is None) == (RolloutStatus.FAILED, False)


def test_an_invalid_condition_is_refused_when_the_rollout_is_created(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(devices(3))

    def refuse(*_: object) -> None:
        raise ConditionError("at character 3")

    monkeypatch.setattr(world.hub, "query_matching", refuse)
    with pytest.raises(InvalidError) as caught:
        schedule_condition(world)
    assert [item.pointer for item in caught.value.fields] == ["/target/condition"]


@pytest.mark.parametrize("how", [commands.cancel, None])
def test_it_can_be_stopped_before_its_start(how: Callable[..., Rollout] | None) -> None:
    world = World(devices(5))
    rollout_id = schedule_condition(world)
    if how is not None:
        assert how(world.services, rollout_id, ADA).status is RolloutStatus.CANCELLED
        assert world.rollout(rollout_id).is_over
        return
    pause(world, rollout_id)
    world.pass_time(hours=2)
    world.ticks(3)
    assert world.rollout(rollout_id).resolution is not None
    world.hub.devices["late"] = device("late")
    world.hub._ids.append("late")  # noqa: SLF001 - a device that is registered later
    resume(world, rollout_id)
    assert world.until_over(rollout_id).counts.completed == 6


@pytest.mark.parametrize("start_at", [None, NOON - timedelta(hours=1)])
def test_without_a_later_start_time_it_is_resolved_at_once(start_at: Any) -> None:
    world = World(devices(5))
    rollout_id = schedule_condition(world, start_at=start_at)
    assert world.rollout(rollout_id).total == 5
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED


def test_two_ticks_at_once_resolve_it_once() -> None:
    world = World(devices(250))
    rollout_id = schedule_condition(world)
    world.pass_time(hours=1)
    advance(world.services)
    advance(world.services)
    over = world.until_over(rollout_id)
    assert (over.total, over.counts.completed) == (250, 250)
    assert world.hub.started == 250


def test_the_plan_says_that_the_devices_are_those_of_now() -> None:
    world = World(devices(5))
    request = world.request(device_ids=(), condition=CONDITION, strategy=AT_START, start_at=START)
    planned = plan(world.services, request)
    assert (planned.exact, planned.devices) == (False, 5)
    assert {item.code for item in planned.warnings} - USUAL_WARNINGS == {"resolvedAtStart"}
    rollout_id = schedule_condition(world, plan_hash=planned.plan_hash)
    assert world.rollout(rollout_id).resolution is not None


def test_a_rollback_of_it_has_its_devices_at_once() -> None:
    world = World(devices(5))
    world.stores.catalogue.save(FACTORY)
    rollout_id = schedule_condition(world)
    world.pass_time(hours=1)
    world.until_over(rollout_id)
    back = roll_back(world.services, rollout_id, ADA).rollout
    assert back.total == 5
