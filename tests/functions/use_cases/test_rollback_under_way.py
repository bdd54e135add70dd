"""Test rollbacks of open rollouts, of large ones, and of rollbacks."""

from dataclasses import replace
from typing import Any

import pytest

from functions.errors import ConflictError, UnknownError
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.rollback import RolledBack
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import FailureGate, OnBreach, Strategy, WavePlan, percent
from functions.rollouts.model.wave import WaveStatus
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands, read
from functions.use_cases.advance import advance
from functions.use_cases.create import create
from functions.use_cases.rollback import roll_back
from simulator.rehearsal.virtual_update import FACTORY_VERSION
from simulator.simulated_fleet.shares import Fault
from tests.functions.use_cases.world import FIRMWARE, World, device, devices

ADA = Caller("ada", "it smells")
FACTORY = Firmware(version=FACTORY_VERSION, package_uri="https://packages.example/1.0.0.bin")
OTHER = Firmware(version="1.5.0", package_uri="https://packages.example/1.5.0.bin")
BACK = FailureGate(on_breach=OnBreach.ROLLBACK)


def add_catalogue(world: World) -> World:
    world.stores.catalogue.save(FACTORY)
    return world


def versions(world: World) -> dict[str, str]:
    now = world.now.timestamp()
    return {
        name: found.latest.version_at(now) if found.latest else FACTORY_VERSION
        for name, found in world.hub.devices.items()
    }


def rollbacks(world: World, rollout_id: str) -> list[Rollout]:
    found = world.stores.rollouts.list_rollouts(None, 100, None).items
    return [item for item in found if item.definition.rollback_of == rollout_id]


def create_bad_canary(
    slow: int, failing: int, *, fault: Fault = Fault.FAILING
) -> tuple[World, str]:
    """Create a rollout of one wave: some devices fail soon, the others complete later."""
    world = add_catalogue(World(devices(slow + failing + 20)))
    strategy = Strategy(waves=(WavePlan(size=slow + failing),), failure_gate=BACK)
    rollout_id = create(world.services, world.request(strategy=strategy), None).rollout.id
    canaries = [item.device_id for item in world.updates(rollout_id) if item.wave == 0]
    for name in canaries[:failing]:
        world.hub.devices[name].fault = fault
    for name in canaries[failing:]:
        world.hub.devices[name].stage_seconds = (100, 100, 100, 100)
    return world, rollout_id


def test_a_breach_also_brings_back_devices_that_complete_after_it() -> None:
    """Let devices fail early and complete late, so that none has completed at the breach."""
    world, rollout_id = create_bad_canary(slow=15, failing=5)
    ended = world.until_over(rollout_id)
    (back,) = rollbacks(world, rollout_id)
    assert (ended.status, ended.rollback) == (RolloutStatus.CANCELLED, RolledBack(back.id))
    assert world.until_over(back.id).counts.completed == 15
    assert set(versions(world).values()) == {FACTORY_VERSION}
    assert sum(len(found.started) for found in world.hub.devices.values()) == 20 + 15


def test_a_device_in_doubt_delays_a_rollback_for_its_timeout_at_most() -> None:
    """Disconnect a device before its response; its offline deadline is a week away."""
    world, rollout_id = create_bad_canary(slow=15, failing=5)
    lost = next(item.device_id for item in world.updates(rollout_id) if item.wave == 0)
    world.hub.devices[lost].lose_requests = 1
    world.ticks(1)
    world.hub.disconnect(lost)
    world.ticks(355)
    assert rollbacks(world, rollout_id) == []
    world.ticks(15)
    (back,) = rollbacks(world, rollout_id)
    assert back.total == 15
    assert world.rollout(rollout_id).counts.updating == 1


def test_a_caller_can_roll_back_before_the_devices_under_way_at_a_breach_end() -> None:
    """Take the devices under way, too: they are being brought to the undone version."""
    world, rollout_id = create_bad_canary(slow=15, failing=5)
    early = world.updates(rollout_id)[7].device_id
    world.hub.devices[early].stage_seconds = (5, 5, 5, 5)
    while world.rollout(rollout_id).status is RolloutStatus.RUNNING:
        world.ticks(1)
    world.ticks(2)
    assert world.rollout(rollout_id).counts.updating > 0
    back = roll_back(world.services, rollout_id, ADA).rollout
    assert early in {item.device_id for item in world.updates(back.id)}
    assert back.total == 15
    world.until_over(rollout_id)
    assert [item.id for item in rollbacks(world, rollout_id)] == [back.id]
    world.until_over(back.id)
    assert set(versions(world).values()) == {FACTORY_VERSION}


@pytest.mark.parametrize("number", range(1, 8))
def test_a_breach_that_two_ticks_see_is_rolled_back_once(number: int) -> None:
    world, rollout_id = create_bad_canary(slow=15, failing=5)
    while world.rollout(rollout_id).counts.completed < 15:
        store: Any = world.stores.rollouts
        save, saves = store.save, [0]

        def racing(*arguments: Any, save: Any = save, saves: list[int] = saves) -> Any:
            saves[0] += 1
            if saves[0] == number:
                world.stores.rollouts.save = save  # type: ignore[method-assign]
                advance(world.services)
            return save(*arguments)

        store.save = racing
        world.tick()
        store.save = save
    world.until_over(rollout_id)
    assert len(rollbacks(world, rollout_id)) == 1


def test_a_wave_below_its_share_rolls_back_as_a_breach_does() -> None:
    world = add_catalogue(World(devices(40)))
    gate = replace(BACK, acceptable=percent(50), unacceptable=percent(99))
    strategy = Strategy(waves=(WavePlan(size=20),), success_share=percent(100), failure_gate=gate)
    rollout_id = create(world.services, world.request(strategy=strategy), None).rollout.id
    world.hub.devices[world.updates(rollout_id)[0].device_id].fault = Fault.FAILING
    ended = world.until_over(rollout_id)
    assert ended.status_reason is not None
    assert ended.status_reason.code == "successShare"
    assert ended.waves[0].status is WaveStatus.FAILED
    (back,) = rollbacks(world, rollout_id)
    assert world.until_over(back.id).counts.completed == 19
    assert set(versions(world).values()) == {FACTORY_VERSION}


def test_a_cancelled_rollout_is_rolled_back_and_ends_as_cancelled() -> None:
    world = add_catalogue(World(devices(30)))
    rollout_id = world.create(Strategy(max_in_flight=5)).rollout.id
    world.ticks(8)
    commands.cancel(world.services, rollout_id, ADA)
    ended = world.until_over(rollout_id)
    back = roll_back(world.services, rollout_id, ADA).rollout
    assert back.total == ended.counts.completed
    assert world.rollout(rollout_id).status is RolloutStatus.CANCELLED
    assert world.until_over(back.id).status is RolloutStatus.COMPLETED
    assert set(versions(world).values()) == {FACTORY_VERSION}


def test_a_rollback_has_gates_too_and_stops_at_its_own_canary() -> None:
    world = add_catalogue(World(devices(40)))
    rollout_id = world.create(Strategy(waves=(WavePlan(size=8),))).rollout.id
    world.until_over(rollout_id)
    for found in world.hub.devices.values():
        found.fault = Fault.FAILING
    back = roll_back(world.services, rollout_id, ADA).rollout
    world.ticks(20)
    rollout = world.rollout(back.id)
    assert rollout.status is RolloutStatus.PAUSED
    assert rollout.counts.queued == 32


def test_a_rollback_that_is_breached_pauses_and_never_brings_the_bad_firmware_back() -> None:
    world = add_catalogue(World(devices(40)))
    strategy = Strategy(waves=(WavePlan(size=8),), failure_gate=BACK)
    rollout_id = world.create(strategy).rollout.id
    world.until_over(rollout_id)
    back = roll_back(world.services, rollout_id, ADA).rollout
    for item in world.updates(back.id)[:4]:
        world.hub.devices[item.device_id].fault = Fault.FAILING
    world.ticks(20)
    stopped = world.rollout(back.id)
    assert stopped.counts.completed > 0
    assert stopped.status is RolloutStatus.PAUSED
    assert stopped.strategy.failure_gate == replace(BACK, on_breach=OnBreach.PAUSE)
    assert rollbacks(world, back.id) == []


def test_a_rollback_can_be_rolled_back() -> None:
    world = add_catalogue(World(devices(12)))
    older = create(world.services, world.request("d-000", firmware=OTHER), None).rollout.id
    world.until_over(older)
    rollout_id = world.create().rollout.id
    world.until_over(rollout_id)
    back = roll_back(world.services, rollout_id, ADA).rollout.id
    world.until_over(back)
    assert versions(world)["d-000"] == OTHER.version
    assert versions(world)["d-001"] == FACTORY_VERSION
    again = roll_back(world.services, back, ADA).rollout.id
    assert world.until_over(again).counts.completed == 12
    assert set(versions(world).values()) == {FIRMWARE.version}


def test_devices_that_never_reported_a_version_are_left_out() -> None:
    world = add_catalogue(World([device("a"), device("b", tutorial_only=True)]))
    rollout_id = world.create().rollout.id
    world.until_over(rollout_id)
    back = roll_back(world.services, rollout_id, ADA).rollout
    assert [item.device_id for item in world.updates(back.id)] == ["a"]


def test_a_fleet_that_reports_no_versions_has_no_rollback() -> None:
    world = add_catalogue(World([device("b", tutorial_only=True)]))
    rollout_id = world.create().rollout.id
    world.until_over(rollout_id)
    with pytest.raises(ConflictError, match="no device reported its earlier firmware"):
        roll_back(world.services, rollout_id, ADA)


def test_failed_devices_are_not_brought_back() -> None:
    bad = device("bad", fault=Fault.FAILING)
    world = add_catalogue(World([*devices(20), bad]))
    rollout_id = world.create().rollout.id
    world.until_over(rollout_id)
    back = roll_back(world.services, rollout_id, ADA).rollout
    world.until_over(back.id)
    assert (back.total, len(bad.started)) == (20, 1)


def test_a_large_rollback_spreads_its_versions_over_the_waves_and_is_audited() -> None:
    world = add_catalogue(World(devices(1_300)))
    newer = tuple(world.hub.devices)[:130]
    older = create(world.services, world.request(*newer, firmware=OTHER), None).rollout.id
    world.until_over(older)
    rollout_id = world.create(Strategy(waves=(WavePlan(size=20),))).rollout.id
    world.until_over(rollout_id)
    back = roll_back(world.services, rollout_id, ADA).rollout
    assert world.until_over(back.id).counts.completed == 1_300
    canaries = [item for item in world.updates(back.id) if item.wave == 0]
    assert sum(item.version is not None for item in canaries) == 2
    now = versions(world)
    assert {now[name] for name in newer} == {OTHER.version}
    assert sum(version == FACTORY_VERSION for version in now.values()) == 1_170
    trail = read.list_events(world.stores.rollouts, rollout_id, 100, None).items
    told = {event.action: (event.by, event.message) for event in trail}
    assert told["rolledBack"] == ("ada", "Rolled back by ada: it smells")
    assert told["rollbackCreated"][1] == f"Rollout {back.id} brings 1300 devices back."


def test_a_rollback_of_an_unknown_rollout_is_an_unknown_error() -> None:
    with pytest.raises(UnknownError):
        roll_back(World([]).services, "nowhere", ADA)
