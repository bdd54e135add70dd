"""Test what a plan and a create say about the other rollouts of their devices."""

from dataclasses import replace
from typing import Any

import pytest

from functions.errors import ConflictError
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import OnConflict, Strategy, WavePlan
from functions.rollouts.rollout import operator_commands
from functions.use_cases import commands, conflicts, plan
from functions.use_cases.create import create
from functions.use_cases.known_devices import KnownDevices
from tests.cases.steps import ADA
from tests.functions.use_cases.joiner_worlds import MINUTE, make, slow_fleet
from tests.functions.use_cases.world import USUAL_WARNINGS, World, device, devices

REFUSE = Strategy(on_conflict=OnConflict.REFUSE)


def create_for(world: World, *ids: str, strategy: Strategy | None = None, **more: Any) -> str:
    world.pass_time(seconds=1)
    request = world.request(*ids, strategy=strategy or Strategy(), **more)
    return create(world.services, request, None).rollout.id


def refusal(world: World, *ids: str) -> str:
    before = world.stores.rollouts.list_open_ids()
    with pytest.raises(ConflictError) as caught:
        create_for(world, *ids, strategy=REFUSE)
    assert world.stores.rollouts.list_open_ids() == before
    return str(caught.value)


def test_a_plan_counts_the_devices_that_open_rollouts_will_skip() -> None:
    world = World(devices(30))
    names = tuple(world.hub.devices)
    create_for(world, *names[:20], strategy=Strategy(waves=(WavePlan(size=5),)))
    create_for(world, *names[15:25])
    world.tick()
    planned = plan.plan(world.services, world.request())
    waiting = {
        item.device_id
        for rollout_id in world.stores.rollouts.list_open_ids()
        for item in world.updates(rollout_id)
        if item.state.value == "queued"
    }
    assert planned.superseded == len(waiting) > 0
    assert [conflict.devices for conflict in planned.conflicts] == [10, 20]


def test_a_plan_warns_of_what_is_superseded_and_of_what_it_waits_for() -> None:
    world = World(devices(20, stage=60))
    first = create_for(world, strategy=Strategy(waves=(WavePlan(size=5),)))
    world.tick()
    planned = plan.plan(world.services, world.request())
    warnings = [item for item in planned.warnings if item.code not in USUAL_WARNINGS]
    assert {item.code: item.count for item in warnings} == {
        "superseded": 15,
        "updatingElsewhere": 5,
    }
    assert all(first in item.message for item in warnings)


def test_a_plan_warns_that_a_create_would_be_refused() -> None:
    world = World(devices(20))
    first = create_for(world)
    codes = [item.code for item in plan.plan(world.services, world.request()).warnings]
    assert "conflict" not in codes
    refusing = plan.plan(world.services, world.request(strategy=REFUSE)).warnings
    (message,) = [item.message for item in refusing if item.code == "conflict"]
    assert message == refusal(world)
    assert first in message


def test_a_plan_of_free_devices_warns_of_nothing() -> None:
    world = World(devices(20))
    create_for(world, "d-000")
    planned = plan.plan(world.services, world.request("d-001", strategy=REFUSE))
    assert {item.code for item in planned.warnings} <= USUAL_WARNINGS


def test_a_plan_supersedes_nothing_in_a_rollout_that_only_shares_ended_devices() -> None:
    world = World(devices(20))
    names = tuple(world.hub.devices)
    canary = Strategy(waves=(WavePlan(size=10), WavePlan(size=10, approval=True)))
    first = create_for(world, strategy=canary)
    world.ticks(20)
    done = [item.device_id for item in world.updates(first) if item.state.ended]
    assert len(done) == 10
    assert plan.plan(world.services, world.request(*done)).superseded == 0
    assert plan.plan(world.services, world.request(*names)).superseded == 10


def test_a_creation_says_what_it_supersedes() -> None:
    world = World(devices(20))
    first = create_for(world)
    made = create(world.services, world.request("d-003", "d-007"), None)
    (warning,) = made.warnings
    assert (warning.code, warning.count) == ("superseded", 2)
    assert (
        warning.message == f"2 devices queued in 1 earlier rollout will be skipped there: {first}."
    )
    world.tick()
    apart = create(world.services, world.request("d-003"), None)
    assert not apart.warnings


def test_a_strategy_that_refuses_conflicts_names_the_rollouts_and_their_devices() -> None:
    world = World(devices(20))
    first, second = create_for(world, "d-001", "d-002"), create_for(world, "d-003")
    message = refusal(world)
    assert "other rollouts have not finished with 3 devices" in message
    assert f"{first} (2 devices: d-001, d-002)" in message
    assert f"{second} (1 device: d-003)" in message
    create_for(world, "d-004", "d-005", strategy=REFUSE)


def test_the_message_of_a_refusal_is_bounded() -> None:
    world = World(devices(300))
    names = tuple(world.hub.devices)
    for number in range(8):
        create_for(world, *names[number * 30 : number * 30 + 30])
    message = refusal(world)
    assert "240 devices" in message
    assert "and 3 more" in message
    assert "and 25 more" in message
    assert len(message) < 1500


def test_devices_that_ended_in_an_open_rollout_are_no_conflict() -> None:
    world = World(devices(20))
    canary = Strategy(waves=(WavePlan(size=10), WavePlan(size=10, approval=True)))
    first = create_for(world, strategy=canary)
    world.ticks(20)
    done = [item.device_id for item in world.updates(first) if item.state.ended]
    create_for(world, *done, strategy=REFUSE)
    refusal(world)


def test_a_paused_and_a_scheduled_rollout_are_conflicts() -> None:
    world = World(devices(40))
    names = tuple(world.hub.devices)
    paused = create_for(world, *names[:20])
    commands.run_command(world.services, paused, operator_commands.pause, ADA)
    world.pass_time(days=1)
    assert paused in refusal(world, *names[:20])
    start_at = world.now.replace(year=world.now.year + 1)
    scheduled = create_for(world, *names[20:], start_at=start_at)
    assert scheduled in refusal(world, *names[20:])


def test_a_refused_idempotency_key_can_be_used_again() -> None:
    world = World(devices(20))
    first = create_for(world)
    with pytest.raises(ConflictError):
        world.create(REFUSE, key="build-1")
    world.until_over(first)
    assert world.create(REFUSE, key="build-1").is_new


def test_a_large_target_with_a_conflict_fails_when_it_is_resolved() -> None:
    world = World(devices(1200))
    first = create_for(world, "d-1150")
    commands.run_command(world.services, first, operator_commands.pause, ADA)
    request = world.request(strategy=REFUSE, condition="tags.site = 'x'", device_ids=())
    rollout_id = create(world.services, request, None).rollout.id
    ended = world.until_over(rollout_id)
    assert ended.status is RolloutStatus.FAILED
    assert ended.status_reason is not None
    assert f"{first} (1 device: d-1150)" in ended.status_reason.message
    assert not world.rollout(first).is_over


def test_of_two_creations_at_once_that_refuse_conflicts_the_newer_one_supersedes() -> None:
    world = World(devices(20))
    store: Any = world.stores.rollouts
    add, made = store.add, list[str]()

    def add_late(*arguments: Any, **more: Any) -> Any:
        store.add = add
        made.append(create_for(world, strategy=REFUSE))
        return add(*arguments, **more)

    store.add = add_late
    first = create_for(world, strategy=REFUSE)
    assert world.until_over(first).counts.skipped == 20
    assert world.until_over(made[0]).counts.completed == 20


@pytest.mark.parametrize("created_here", [True, False])
def test_an_open_rollout_of_other_devices_is_read_once_at_most(
    monkeypatch: pytest.MonkeyPatch, created_here: bool
) -> None:
    world = World(devices(8))
    names = tuple(world.hub.devices)
    other, joined = create_for(world, *names[:3]), create_for(world, *names[3:5])
    if not created_here:
        world.services = replace(world.services, known_devices=KnownDevices())
    read: list[str] = []
    get = world.stores.rollouts.get

    def record(rollout_id: str) -> Any:
        read.append(rollout_id)
        return get(rollout_id)

    monkeypatch.setattr(world.stores.rollouts, "get", record)
    create_for(world, names[5])
    create_for(world, names[4])
    create_for(world, names[7])
    assert read.count(other) == (0 if created_here else 1)
    assert joined in read  # it shares a device with the second


def test_a_later_rollout_that_ended_during_the_creation_is_found() -> None:
    world = World(devices(20))
    store: Any = world.stores.rollouts
    add, made = store.add, list[str]()

    def add_late(*arguments: Any, **more: Any) -> Any:
        store.add = add
        made.append(create_for(world))
        world.until_over(made[0])
        return add(*arguments, **more)

    store.add = add_late
    first = create_for(world)
    assert world.rollout(made[0]).is_over
    assert world.rollout(first).later.ids == (made[0],)


def test_a_device_that_has_joined_is_found_by_a_later_rollout() -> None:
    world = slow_fleet()
    open_id = make(world)
    names = tuple(world.hub.devices)
    world.ticks(1)
    assert open_id in refusal(world, names[0])  # reads the devices of the open rollout
    world.hub.register(device("late"))
    world.ticks(MINUTE)
    assert world.rollout(open_id).joining.joined == 1
    assert open_id in refusal(world, "late")


def test_a_later_rollout_that_has_reached_a_device_is_a_conflict_of_a_large_target() -> None:
    world = World(devices(1200))
    request = world.request(strategy=REFUSE, condition="tags.site = 'x'", device_ids=())
    rollout_id = create(world.services, request, None).rollout.id
    later = create_for(world, "d-001", "d-002")
    ended = world.until_over(rollout_id)
    assert ended.status is RolloutStatus.FAILED
    assert ended.status_reason is not None
    assert f"{later} (2 devices: d-001, d-002)" in ended.status_reason.message


def test_the_conflicts_of_a_stored_rollout_are_earlier_and_later_ones_but_not_itself() -> None:
    world = World(devices(40))
    names = tuple(world.hub.devices)
    earlier, own, later = (create_for(world, *names[first : first + 20]) for first in (0, 10, 15))
    found = conflicts.find_conflicts(world.services, names[10:30], own)
    assert {key: sorted(ids) for key, ids in found.items()} == {
        earlier: list(names[10:20]),
        later: list(names[15:30]),
    }
    new = conflicts.find_conflicts(world.services, names[25:40])
    assert {key: len(ids) for key, ids in new.items()} == {own: 5, later: 10}
    with pytest.raises(ConflictError) as caught:
        conflicts.refuse_conflicts(world.services, names[10:30], own)
    assert "with 20 devices" in str(caught.value)
    assert own not in str(caught.value)


def test_of_a_rollout_with_many_blocks_only_the_shared_devices_and_their_blocks_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(devices(450))
    names = tuple(world.hub.devices)
    create_for(world, *names[:420])
    world.ticks(3)
    world.services = replace(world.services, known_devices=KnownDevices())
    read: list[int] = []
    get_blocks = world.stores.rollouts.get_blocks

    def record(snapshot: Any, numbers: Any) -> Any:
        read.extend(numbers)
        return get_blocks(snapshot, numbers)

    monkeypatch.setattr(world.stores.rollouts, "get_blocks", record)
    message = refusal(world, *names[410:430])
    assert "with 10 devices" in message
    assert len(set(read)) < 5


def test_a_large_target_without_a_conflict_is_no_conflict_of_itself() -> None:
    world = World(devices(1200))
    request = world.request(strategy=REFUSE, condition="tags.site = 'x'", device_ids=())
    rollout_id = create(world.services, request, None).rollout.id
    assert world.until_over(rollout_id).counts.completed == 1200


def test_a_rollout_whose_target_is_being_resolved_is_a_conflict_of_its_devices() -> None:
    world = World(devices(1200))
    request = world.request(condition="tags.site = 'x'", device_ids=())
    open_id = create(world.services, request, None).rollout.id
    assert world.rollout(open_id).resolution is not None
    assert f"{open_id} (2 devices: d-003, d-004)" in refusal(world, "d-003", "d-004")
