"""Test devices that come to meet a rollout's condition while it is open, and join it."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import (
    FailureGate,
    OnBreach,
    OnConflict,
    ResolveTarget,
    Share,
    Strategy,
    WavePlan,
)
from functions.rollouts.model.wave import WaveStatus
from functions.rollouts.rollout import frozen, operator_commands
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands, rollback
from functions.use_cases.create import create
from simulator.simulated_fleet.shares import Fault
from tests.functions.use_cases.joiner_worlds import CANARY, MINUTE, make, slow_fleet
from tests.functions.use_cases.world import FIRMWARE, World, device, devices

ADA = Caller("ada")


def run(world: World, rollout_id: str, what: Any) -> Rollout:
    return commands.run_command(world.services, rollout_id, what, ADA)


def actions(rollout: Rollout) -> Counter[str]:
    return Counter(event.action for event in rollout.audit.events)


def test_a_device_that_comes_to_meet_the_condition_joins_the_last_wave() -> None:
    world = slow_fleet()
    rollout_id = make(world)
    world.ticks(1)
    world.hub.register(device("late"))
    world.ticks(MINUTE)
    rollout = world.rollout(rollout_id)
    assert [(wave.name, wave.size) for wave in rollout.waves] == [("canary", 1), ("rest", 3)]
    assert (rollout.total, rollout.joining.joined) == (4, 1)
    assert world.update(rollout_id, "late").wave == 1
    (event,) = [item for item in rollout.audit.events if item.action == "devicesJoined"]
    assert event.message == "1 device joined wave rest: late."
    over = world.until_over(rollout_id)
    assert over.status is RolloutStatus.COMPLETED
    assert over.counts.completed == 4
    assert over.audit.events[-1].message == (
        "4 of 4 devices completed. 1 device joined while it was open."
        " Devices that come to meet the condition from now on do not join."
    )


def test_a_rollout_without_joiners_never_searches() -> None:
    world = slow_fleet()
    rollout_id = make(world, joiners=False)
    before = world.hub.operations.queries
    world.hub.register(device("late"))
    assert world.until_over(rollout_id).total == 3
    assert world.hub.operations.queries == before
    assert "join" not in world.rollout(rollout_id).audit.events[-1].message


def test_no_device_joins_a_rollout_that_is_over_and_a_retry_opens_it_again() -> None:
    world = World([device("a", fault=Fault.FAILING), device("b")])
    rollout_id = make(world, Strategy(success_share=Share(5_000), retry=no_retry()))
    assert world.until_over(rollout_id).is_over
    world.hub.register(device("late"))
    world.ticks(2 * MINUTE)
    assert world.rollout(rollout_id).total == 2
    world.hub.devices["a"].fault = Fault.NONE
    commands.retry(world.services, rollout_id, ADA)
    world.ticks(2)
    over = world.until_over(rollout_id)
    assert (over.status, over.counts.completed, over.total) == (RolloutStatus.COMPLETED, 3, 3)


def no_retry() -> Any:
    return replace(Strategy().retry, attempts=1)


@pytest.mark.parametrize(("present", "late"), [(1, 250), (99, 1), (99, 2), (100, 1), (250, 150)])
def test_blocks_grow_and_each_device_is_found_in_its_own(present: int, late: int) -> None:
    world = World(devices(present, stage=60))
    rollout_id = make(world, Strategy())
    world.ticks(1)
    for number in range(late):
        world.hub.register(device(f"late-{number:03}"))
    world.ticks(3 * MINUTE)
    rollout, updates = world.rollout(rollout_id), world.updates(rollout_id)
    assert rollout.total == len(updates) == present + late
    assert len({update.device_id for update in updates}) == present + late
    snapshot = world.stores.rollouts.get(rollout_id)
    assert snapshot is not None
    numbers = world.stores.targets.get_block_numbers(rollout_id)
    assert numbers == {update.device_id: n // 100 for n, update in enumerate(updates)}
    assert world.until_over(rollout_id).counts.completed == present + late


def test_a_device_that_leaves_and_comes_back_joins_once() -> None:
    world = slow_fleet()
    rollout_id = make(world)
    world.hub.register(device("late"))
    for matched in (True, False, True, True):
        world.hub.unmatched = set() if matched else {"late", "d-000"}
        world.ticks(MINUTE + 1)
    rollout = world.rollout(rollout_id)
    assert (rollout.total, rollout.joining.joined) == (4, 1)


@pytest.mark.parametrize("state", [DeviceState.SKIPPED, DeviceState.FAILED, DeviceState.CANCELLED])
def test_a_device_that_the_rollout_had_before_does_not_join(state: DeviceState) -> None:
    world = World([device("a", stage=200), device("b", fault=Fault.FAILING)])
    strategy = Strategy(
        retry=no_retry(), failure_gate=FailureGate(on_breach=OnBreach.PAUSE), success_share=Share(0)
    )
    rollout_id = make(world, strategy)
    if state is DeviceState.SKIPPED:
        world.hub.devices["b"].fault = Fault.NONE
        del world.hub.devices["b"]
    world.ticks(2 * MINUTE)
    if state is DeviceState.CANCELLED:
        run(world, rollout_id, operator_commands.cancel)
        world.ticks(1)
    world.hub.devices.setdefault("b", device("b"))
    world.ticks(2 * MINUTE)
    assert world.rollout(rollout_id).total == 2
    assert world.rollout(rollout_id).joining.joined == 0


def test_a_joiner_that_runs_the_version_is_skipped() -> None:
    world = World([*devices(3, stage=150), device("late")])
    world.hub.unmatched = {"late"}
    first = create(world.services, world.request("late"), None).rollout.id
    assert world.until_over(first).counts.completed == 1
    rollout_id = make(world, Strategy())
    world.hub.unmatched = set()
    world.ticks(3 * MINUTE)
    assert world.update(rollout_id, "late").skip_reason is SkipReason.ALREADY_RUNNING
    over = world.until_over(rollout_id)
    assert (over.status, over.counts.skipped) == (RolloutStatus.COMPLETED, 1)


def test_devices_join_a_paused_rollout_and_start_after_the_resume() -> None:
    world = slow_fleet()
    rollout_id = make(world, Strategy())
    run(world, rollout_id, operator_commands.pause)
    world.hub.register(device("late"))
    world.ticks(3 * MINUTE)
    rollout = world.rollout(rollout_id)
    assert (rollout.status, rollout.counts.queued, rollout.total) == (RolloutStatus.PAUSED, 1, 4)
    assert world.hub.devices["late"].started == []
    run(world, rollout_id, operator_commands.resume)
    assert world.until_over(rollout_id).counts.completed == 4


def test_no_device_joins_a_cancelled_rollout() -> None:
    world = slow_fleet()
    rollout_id = make(world)
    run(world, rollout_id, operator_commands.cancel)
    world.hub.register(device("late"))
    assert world.until_over(rollout_id).total == 3


def test_no_device_joins_a_wave_that_its_gate_has_stopped_until_it_is_resumed() -> None:
    world = World([*devices(6, fault=Fault.FAILING), device("slow", stage=300)])
    rollout_id = make(world, Strategy(retry=no_retry(), success_share=Share(0)))
    world.ticks(MINUTE - 1)
    assert world.rollout(rollout_id).waves[0].status is WaveStatus.FAILED
    world.hub.register(device("late"))
    world.ticks(2 * MINUTE)
    assert world.rollout(rollout_id).total == 7
    run(world, rollout_id, operator_commands.resume)
    world.ticks(MINUTE)
    assert world.rollout(rollout_id).total == 8
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED


def test_the_gate_judges_joiners_like_the_other_devices() -> None:
    world = slow_fleet(2)
    rollout_id = make(world, Strategy(retry=no_retry()))
    for number in range(5):
        world.hub.register(device(f"late-{number}", fault=Fault.FAILING))
    world.ticks(2 * MINUTE)
    rollout = world.rollout(rollout_id)
    assert rollout.status is RolloutStatus.PAUSED
    assert rollout.status_reason is not None
    assert rollout.status_reason.code == "failureGate"


def test_a_last_wave_that_has_ended_runs_again_while_the_rollout_is_open() -> None:
    """A device of the canary that takes longer keeps the rollout open."""
    strategy = Strategy(waves=(WavePlan(size=4),), success_share=Share(5_000))
    trial = World(devices(5, stage=3))  # equal worlds make equal waves
    slow = trial.updates(make(trial, strategy))[0].device_id
    world = World(devices(5, stage=3))
    world.hub.devices[slow].stage_seconds = (300, 300, 300, 300)
    rollout_id = make(world, strategy)
    world.ticks(MINUTE - 1)
    assert world.rollout(rollout_id).waves[1].status is WaveStatus.COMPLETED
    world.hub.register(device("late", stage=60))
    world.ticks(2)
    wave = world.rollout(rollout_id).waves[1]
    assert (wave.status, wave.size, wave.ended_at) == (WaveStatus.RUNNING, 2, None)
    over = world.until_over(rollout_id)
    assert (over.status, over.waves[1].counts.completed) == (RolloutStatus.COMPLETED, 2)


@pytest.mark.parametrize("resolve", ResolveTarget)
def test_with_a_later_start_the_first_search_finds_who_came_before_it(
    resolve: ResolveTarget,
) -> None:
    world = slow_fleet()
    strategy = replace(CANARY, resolve_target=resolve)
    rollout_id = make(world, strategy, start_at=world.now + timedelta(hours=1))
    world.hub.register(device("before"))
    queries = world.hub.operations.queries
    world.ticks(59 * MINUTE)
    assert world.hub.operations.queries == queries  # it has not started
    world.ticks(2 * MINUTE)
    world.hub.register(device("after"))
    world.ticks(2 * MINUTE)
    ids = {update.device_id for update in world.updates(rollout_id)}
    assert ids == {"before", "after", "d-000", "d-001", "d-002"}


def test_a_rollback_brings_joined_devices_back() -> None:
    world = World([*devices(2, stage=50), device("late")])
    first = create(world.services, world.request(), None).rollout.id
    assert world.until_over(first).is_over
    world.hub.unmatched = {"late"}
    firmware = replace(FIRMWARE, version="3.0.0")
    rollout_id = make(world, Strategy(), firmware=firmware)
    world.hub.unmatched = set()
    assert world.until_over(rollout_id).counts.completed == 3
    undoing = rollback.roll_back(world.services, rollout_id, ADA).rollout
    assert not undoing.definition.target.joiners
    assert world.until_over(undoing.id).counts.completed == 3
    twin = world.hub.read_twin("late")
    assert twin is not None
    assert twin.reported["firmwareVersion"] == "2.4.0"


def test_a_device_that_a_later_rollout_has_does_not_join() -> None:
    world = slow_fleet()
    rollout_id = make(world)
    world.hub.register(device("late"))
    world.pass_time(seconds=5)
    later = create(world.services, world.request("late"), None).rollout.id
    world.ticks(2 * MINUTE)
    assert world.until_over(later).counts.completed == 1
    world.ticks(2 * MINUTE)
    assert world.rollout(rollout_id).total == 3


def test_a_device_that_is_queued_in_an_earlier_rollout_is_superseded_there() -> None:
    world = slow_fleet()
    world.hub.register(device("other", online=False))
    world.hub.unmatched = {"other"}
    earlier = create(world.services, world.request("other"), None).rollout.id
    world.pass_time(seconds=5)
    rollout_id = make(world)
    world.hub.unmatched = set()
    world.ticks(3 * MINUTE)
    assert world.update(earlier, "other").skip_reason is SkipReason.SUPERSEDED
    assert world.update(rollout_id, "other").state is DeviceState.QUEUED
    assert actions(world.rollout(rollout_id))["supersedes"] == 1
    world.hub.reconnect("other")
    assert world.until_over(rollout_id).counts.completed == 4
    assert [rollout for rollout, _ in world.hub.devices["other"].started] == [rollout_id]


def test_with_refuse_a_device_joins_once_the_other_rollout_has_finished_with_it() -> None:
    world = slow_fleet()
    world.hub.register(device("other", online=False))
    world.hub.unmatched = {"other"}
    waiting = create(world.services, world.request("other"), None).rollout.id
    world.pass_time(seconds=5)
    rollout_id = make(world, Strategy(on_conflict=OnConflict.REFUSE))
    world.hub.unmatched = set()
    world.ticks(2 * MINUTE)
    assert world.rollout(rollout_id).total == 3
    assert world.update(waiting, "other").state is DeviceState.QUEUED
    run(world, waiting, operator_commands.cancel)
    world.ticks(2 * MINUTE)
    assert world.rollout(rollout_id).total == 4


def test_a_new_value_of_stratify_by_joins_the_other_values() -> None:
    world = World([device("a", stratum="m1", stage=150), device("b", stratum="m2", stage=150)])
    rollout_id = make(world, Strategy(stratify_by=("tags.model",)))
    world.hub.register(device("known", stratum="m2"))
    world.hub.register(device("new", stratum="m3"))
    world.ticks(2 * MINUTE)
    strata = world.rollout(rollout_id).strata
    names = {
        update.device_id: strata[update.stratum]
        for update in world.updates(rollout_id)
        if update.stratum is not None
    }
    assert names == {"a": "m1", "b": "m2", "known": "m2", "new": "(other)"}
    parts = world.rollout(rollout_id).waves[0].strata
    assert [part.counts.total for part in parts] == [1, 2, 1]
    assert world.until_over(rollout_id).counts.completed == 4


def test_no_device_joins_a_frozen_stratum_until_it_goes_on() -> None:
    world = World(
        [
            *(device(f"bad-{n}", stratum="bad", fault=Fault.FAILING) for n in range(6)),
            *(device(f"good-{n}", stratum="good", stage=200) for n in range(6)),
        ]
    )
    gate = FailureGate(on_breach=OnBreach.FREEZE)
    rollout_id = make(
        world, Strategy(stratify_by=("tags.model",), failure_gate=gate, retry=no_retry())
    )
    world.ticks(MINUTE - 1)
    (frozen_index,) = frozen.frozen_strata(world.rollout(rollout_id))
    assert world.rollout(rollout_id).strata[frozen_index] == "bad"
    world.hub.register(device("late-bad", stratum="bad"))
    world.hub.register(device("late-good", stratum="good", stage=200))
    world.ticks(2 * MINUTE)
    ids = {update.device_id for update in world.updates(rollout_id)}
    assert "late-good" in ids
    assert "late-bad" not in ids
