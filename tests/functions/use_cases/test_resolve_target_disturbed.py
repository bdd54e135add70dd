"""Test the resolution of a large target during races, changes and commands."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from functions.errors import ConflictError, UnknownError
from functions.hub_gateway.port import ConditionError
from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Strategy, WavePlan
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands, read, resolve_target
from functions.use_cases.advance import advance
from functions.use_cases.create import create
from functions.use_cases.read import WantedUpdates
from functions.use_cases.tick_budget import TickBudget
from tests.functions.fragile import CrashError, Fragile, before
from tests.functions.use_cases.world import World, device, devices

ADA = Caller("ada")
WAVES = Strategy(waves=(WavePlan(size=50),))
SPREAD = replace(WAVES, stratify_by=("tags.model",))


def fleet(number: int) -> World:
    return World([device(f"d-{n:05}", stratum=f"m{n % 3}") for n in range(number)])


def listed(world: World) -> NewRollout:
    return world.request(strategy=WAVES)


def spread(world: World) -> NewRollout:
    return world.request(strategy=SPREAD)


def matching(world: World) -> NewRollout:
    return replace(world.request(strategy=WAVES), device_ids=(), condition="tags.site = 'berlin'")


KINDS = pytest.mark.parametrize("request_of", [listed, spread, matching])
type Request = Callable[[World], NewRollout]


def order(world: World, rollout_id: str) -> list[tuple[str, int]]:
    return [(item.device_id, item.wave) for item in world.updates(rollout_id)]


def undisturbed(number: int, request_of: Request) -> list[tuple[str, int]]:
    world = fleet(number)
    rollout_id = create(world.services, request_of(world), None).rollout.id
    world.ticks(4)
    return order(world, rollout_id)


def slow_writes(world: World) -> None:
    """Let each write take so long that a tick writes blocks once."""
    store: Any = world.stores.rollouts
    save = store.save

    def slow(*arguments: Any) -> Any:
        saved = save(*arguments)
        world.pass_time(seconds=10)
        return saved

    store.save = slow


@pytest.mark.parametrize("after", [False, True])
@KINDS
def test_a_crash_at_any_write_of_the_resolution_does_not_change_its_blocks(
    request_of: Request, after: bool
) -> None:
    expected = undisturbed(2_100, request_of)
    crashes = 0
    for at in range(1, 80, 3):
        world = fleet(2_100)
        rollout_id = create(world.services, request_of(world), None).rollout.id
        fragile: Any = Fragile(world.stores, at, after=after)
        crashed = False
        try:
            for _ in range(3):
                advance(replace(world.services, stores=fragile))
        except CrashError:
            crashed = True
            crashes += 1
        world.ticks(4)
        assert order(world, rollout_id) == expected
        if not crashed:
            break
    assert crashes > 1


@pytest.mark.parametrize("number", [1, 2, 3, 8])
@pytest.mark.parametrize("name", ["rollouts.save", "targets.save_part", "targets.save_history"])
@KINDS
def test_two_ticks_that_resolve_at_once_write_each_device_once(
    request_of: Request, name: str, number: int
) -> None:
    expected = undisturbed(2_100, request_of)
    world = fleet(2_100)
    rollout_id = create(world.services, request_of(world), None).rollout.id

    def other() -> None:
        snapshot = world.stores.rollouts.get(rollout_id)
        assert snapshot is not None
        if snapshot.rollout.resolution is not None:
            resolve_target.continue_resolution(
                world.services, snapshot, TickBudget(0, 0, queries=4, messages_left=1000)
            )

    port, method = name.split(".")
    with before(getattr(world.stores, port), method, other, number):
        world.ticks(2)
    world.ticks(3)
    assert order(world, rollout_id) == expected


def test_a_condition_that_no_device_matches_any_more_ends_the_rollout_with_a_reason() -> None:
    world = fleet(1_500)
    rollout_id = create(world.services, matching(world), None).rollout.id
    matches: Any = world.hub.query_matching
    patched: Any = world.hub

    def match_nothing(condition: str, paths: Any, cursor: str | None) -> Any:
        if cursor is not None:
            raise ConditionError("unknown continuation")
        return replace(matches(condition, paths, cursor), devices=[], cursor=None)

    patched.query_matching = match_nothing
    ended = world.until_over(rollout_id)
    assert ended.status is RolloutStatus.FAILED
    assert ended.status_reason is not None
    assert "no device matched the condition" in ended.status_reason.message
    assert rollout_id not in world.stores.rollouts.list_open_ids()
    with pytest.raises(ConflictError):
        commands.retry(world.services, rollout_id, ADA)


def test_a_condition_that_the_hub_no_longer_accepts_ends_the_rollout_at_once() -> None:
    """End it, because it would cost all queries of every tick."""
    world = fleet(1_500)
    rollout_id = create(world.services, matching(world), None).rollout.id
    patched: Any = world.hub
    calls: list[str | None] = []

    def refuse(*arguments: Any) -> Any:
        calls.append(arguments[-1])
        raise ConditionError("'site' is no property")

    patched.query_matching = refuse
    world.ticks(3)
    assert calls == [calls[0], None]
    ended = world.rollout(rollout_id)
    assert (ended.status, ended.is_over) == (RolloutStatus.FAILED, True)
    assert ended.status_reason is not None
    assert "'site' is no property" in ended.status_reason.message
    assert [event.action for event in ended.audit.events].count("failed") == 1


def test_a_device_that_is_on_two_pages_of_a_query_is_updated_once() -> None:
    world = fleet(1_200)
    matches: Any = world.hub.query_matching
    patched: Any = world.hub

    def overlapping(condition: str, paths: Any, cursor: str | None) -> Any:
        page = matches(condition, paths, cursor)
        earlier = matches(condition, paths, None).devices[:3]
        return replace(page, devices=[*earlier, *page.devices])

    patched.query_matching = overlapping
    rollout_id = create(world.services, matching(world), None).rollout.id
    ended = world.until_over(rollout_id)
    assert ended.counts.completed == ended.total == 1_200
    assert world.hub.started == 1_200


def test_a_device_of_a_large_list_that_the_hub_does_not_know_is_skipped_alone() -> None:
    world = fleet(1_200)
    request = listed(world)
    rollout_id = create(
        world.services, replace(request, device_ids=(*request.device_ids, "ghost")), None
    ).rollout.id
    ended = world.until_over(rollout_id)
    assert (ended.counts.completed, ended.counts.skipped) == (1_200, 1)
    assert world.update(rollout_id, "ghost").skip_reason is SkipReason.DEVICE_REMOVED


# -- while blocks are being written


def test_slow_blocks_are_written_over_several_ticks_and_no_device_starts_before() -> None:
    world = fleet(6_000)
    rollout_id = create(world.services, listed(world), None).rollout.id
    slow_writes(world)
    steps = []
    while (resolution := world.rollout(rollout_id).resolution) is not None:
        steps.append(resolution.written)
        assert world.hub.started == 0
        assert world.rollout(rollout_id).counts.queued == 6_000
        world.ticks(1)
    assert steps == [0, 20, 40]
    assert len(world.updates(rollout_id)) == world.rollout(rollout_id).total == 6_000


def test_written_devices_are_not_shown_before_all_are_written() -> None:
    """Show no devices whose waves are not known yet."""
    world = fleet(6_000)
    rollout_id = create(world.services, listed(world), None).rollout.id
    slow_writes(world)
    world.ticks(1)
    snapshot = world.stores.rollouts.get(rollout_id)
    assert snapshot is not None
    written = world.stores.rollouts.get_blocks(snapshot, [0]).blocks[0].updates[0].device_id
    for _ in range(2):  # while it is gathered, and after it was cancelled in the middle of that
        for state in (None, DeviceState.QUEUED):
            _, page = read.list_device_updates(
                world.stores.rollouts, rollout_id, WantedUpdates(state=state), 10, None
            )
            assert page.items == []
        with pytest.raises(UnknownError, match="still being prepared"):
            read.explain_device_update(world.stores.rollouts, rollout_id, written, world.now)
        assert (
            read.list_device_history(world.stores.targets, written, 10, None, world.now).items == []
        )
        with suppress(ConflictError):
            commands.cancel(world.services, rollout_id, ADA)
    world.ticks(3)
    assert world.rollout(rollout_id).is_over
    assert world.hub.started == 0


@pytest.mark.parametrize("number", range(1, 5))
@KINDS
def test_a_cancel_during_any_write_of_the_resolution_holds(
    request_of: Request, number: int
) -> None:
    world = fleet(2_600)
    rollout_id = create(world.services, request_of(world), None).rollout.id
    with before(
        world.stores.rollouts,
        "save",
        lambda: commands.cancel(world.services, rollout_id, ADA),
        number,
    ):
        world.ticks(1)
    ended = world.until_over(rollout_id)
    assert ended.status is RolloutStatus.CANCELLED
    world.ticks(3)
    assert world.hub.started == ended.counts.completed


def test_a_rollout_allows_no_resume_approval_or_retry_during_its_resolution() -> None:
    world = fleet(1_500)
    rollout_id = create(world.services, listed(world), None).rollout.id
    for command in (operator_commands.resume, operator_commands.approve):
        with pytest.raises(ConflictError):
            commands.run_command(world.services, rollout_id, command, ADA)
    with pytest.raises(ConflictError):
        commands.retry(world.services, rollout_id, ADA)
    assert world.until_over(rollout_id).counts.completed == 1_500


def test_a_rollout_waits_for_its_start_time_although_its_devices_are_written() -> None:
    world = World(devices(1_100))
    request = replace(world.request(), start_at=world.now.replace(hour=13))
    rollout_id = create(world.services, request, None).rollout.id
    world.ticks(10)
    rollout = world.rollout(rollout_id)
    assert (rollout.status, rollout.total) == (RolloutStatus.SCHEDULED, 1_100)
    world.pass_time(hours=1)
    assert world.until_over(rollout_id).counts.completed == 1_100
