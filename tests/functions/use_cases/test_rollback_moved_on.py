"""Test that a rollback leaves devices alone that have moved on from the version it undoes."""

import pytest

from functions.errors import ConflictError
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.strategy import (
    FailureGate,
    OnBreach,
    Strategy,
    WavePlan,
    percent,
)
from functions.use_cases.create import create
from functions.use_cases.rollback import roll_back
from simulator.simulated_fleet.shares import Fault
from tests.cases.steps import ADA, FACTORY, reported_versions, require, roll_out
from tests.functions.use_cases.world import World, devices


def firmware(version: str) -> Firmware:
    return Firmware(version=version, package_uri=f"https://packages.example/{version}.bin")


def running(world: World, *names: str) -> set[str]:
    now = world.now.timestamp()
    runs = {name: world.hub.devices[name].latest for name in names or world.hub.devices}
    return {run.version_at(now) if run else FACTORY.version for run in runs.values()}


def test_a_rollback_of_the_middle_of_three_rollouts_leaves_devices_alone() -> None:
    world = World(devices(3))
    roll_out(world, "1.0.0")
    middle = roll_out(world, "2.4.0")
    last = roll_out(world, "2.5.0")
    with pytest.raises(ConflictError, match=f"3 devices that rollout {last} .*Roll back the later"):
        roll_back(world.services, middle, ADA)
    assert reported_versions(world) == {"2.5.0"}


def test_a_rollback_takes_the_devices_that_stayed_and_lists_those_that_moved_on() -> None:
    world = World(devices(30))
    world.stores.catalogue.save(FACTORY)
    undone = roll_out(world, "2.0.0")
    moved = tuple(world.hub.devices)[:12]
    later = create(world.services, world.request(*moved, firmware=firmware("3.0.0")), None)
    world.until_over(later.rollout.id)
    back = roll_back(world.services, undone, ADA).rollout
    created = back.audit.events[0].message
    assert f"Not brought back: 12 devices that rollout {later.rollout.id} has brought on" in created
    assert "(d-000; d-001; d-002; d-003; d-004; and 7 more)" in created
    world.until_over(back.id)
    assert running(world, *moved) == {"3.0.0"}
    assert running(world, *tuple(world.hub.devices)[12:]) == {"1.0.0"}


def test_a_device_that_a_later_rollout_is_updating_stays() -> None:
    world = World(devices(2, stage=60))
    world.stores.catalogue.save(FACTORY)
    undone = roll_out(world, "2.0.0")
    later = create(world.services, world.request("d-000", firmware=firmware("3.0.0")), None)
    back = roll_back(world.services, undone, ADA).rollout
    assert [item.device_id for item in world.updates(back.id)] == ["d-001"]
    world.until_over(later.rollout.id)
    world.until_over(back.id)
    assert (running(world, "d-000"), running(world, "d-001")) == ({"3.0.0"}, {"1.0.0"})


def test_a_device_that_a_later_rollout_failed_is_taken() -> None:
    world = World(devices(4))
    world.stores.catalogue.save(FACTORY)
    undone = roll_out(world, "2.0.0")
    world.hub.devices["d-002"].fault = Fault.FAILING
    later = create(world.services, world.request(firmware=firmware("3.0.0")), None).rollout.id
    world.ticks(60)
    require(world.rollout(later).counts.failed == 1, "one device failed")
    world.hub.devices["d-002"].fault = Fault.NONE
    back = roll_back(world.services, undone, ADA).rollout
    assert [item.device_id for item in world.updates(back.id)] == ["d-002"]


def test_a_device_that_a_later_rollout_brought_to_the_same_version_is_taken() -> None:
    world = World(devices(4))
    world.stores.catalogue.save(FACTORY)
    undone = roll_out(world, "2.0.0")
    create(world.services, world.request("d-001", firmware=firmware("2.0.0")), None)
    world.ticks(20)
    assert roll_back(world.services, undone, ADA).rollout.total == 4


def test_a_device_that_was_changed_by_hand_stays_and_is_listed() -> None:
    world = World(devices(4))
    world.stores.catalogue.save(FACTORY)
    undone = roll_out(world, "2.0.0")
    by_hand = {"fwPackageUri": "https://x.example/f", "rolloutId": "hand", "version": "9.0.0"}
    world.hub.devices["d-001"].receive_method({**by_hand, "attempt": 1}, world.now.timestamp())
    world.pass_time(minutes=5)
    back = roll_back(world.services, undone, ADA).rollout
    assert "1 device not running 2.0.0 (d-001)" in back.audit.events[0].message
    world.until_over(back.id)
    assert running(world, "d-001") == {"9.0.0"}


def test_an_automatic_rollback_leaves_the_devices_of_a_hotfix_alone() -> None:
    """Breach the gate late, after a hotfix has reached some devices and is to reach others."""
    world = World(devices(40))
    world.stores.catalogue.save(FACTORY)
    gate = FailureGate(acceptable=percent(1), unacceptable=percent(10), on_breach=OnBreach.ROLLBACK)
    strategy = Strategy(waves=(WavePlan(size=20),), success_share=percent(50), failure_gate=gate)
    request = world.request(firmware=firmware("2.0.0"), strategy=strategy)
    undone = create(world.services, request, None).rollout.id
    order = [item.device_id for item in world.updates(undone)]
    for name in order[20:]:
        world.hub.devices[name].fault = Fault.FAILING
        world.hub.devices[name].stage_seconds = (60, 60, 600, 60)
    while world.rollout(undone).counts.completed < 20:
        world.tick()
    hotfix = create(
        world.services,
        world.request(
            *order[:8], firmware=firmware("2.5.0"), strategy=Strategy(waves=(WavePlan(size=4),))
        ),
        None,
    ).rollout.id
    world.until_over(undone)
    world.until_over(hotfix)
    world.ticks(100)
    assert running(world, *order[:8]) == {"2.5.0"}
    assert running(world, *order[8:20]) == {FACTORY.version}


def test_a_device_that_moved_on_is_found_behind_newer_rollouts_of_other_devices() -> None:
    world = World(devices(2))
    world.stores.catalogue.save(FACTORY)
    first = roll_out(world, "2.0.0")
    made: list[str] = []
    for device_id, version in (("d-001", "3.0.0"), ("d-000", "3.0.0"), ("d-000", "4.0.0")):
        request = world.request(device_id, firmware=firmware(version))
        made.append(create(world.services, request, None).rollout.id)
        world.until_over(made[-1])
    with pytest.raises(ConflictError) as caught:
        roll_back(world.services, first, ADA)
    assert f"rollout {made[0]} has brought on" in str(caught.value)
    assert f"rollout {made[2]} has brought on" in str(caught.value)
