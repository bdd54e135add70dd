"""Test that a rollback sends each device the package that it completed with itself."""

import pytest

from functions.errors import ConflictError
from functions.rollouts.device.device_method import payload
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.strategy import Strategy, WavePlan
from functions.use_cases.create import create
from functions.use_cases.rollback import roll_back
from tests.cases.steps import ADA, reported_versions, require
from tests.functions.manifests import SHA256, signed
from tests.functions.use_cases.world import FIRMWARE, World, device, devices

GOOD = Firmware(
    version="1.5.0", package_uri="https://packages.example/1.5.0.bin", sha256="a" * 64, size_bytes=7
)
LAB = Firmware(version="1.5.0", package_uri="https://lab.example/test.bin")
LAB_WITH_HASH = Firmware(version="1.5.0", package_uri="https://lab.example/x.bin", sha256="b" * 64)


def roll_out(world: World, firmware: Firmware, *ids: str) -> str:
    world.pass_time(seconds=1)
    created = create(world.services, world.request(*ids, firmware=firmware), None)
    require(world.until_over(created.rollout.id).is_over, "the rollout is over")
    return created.rollout.id


def sent(world: World, rollout_id: str) -> dict[str, tuple[str, str | None]]:
    """Return the package URI and hash that each device of a rollout is sent."""
    rollout = world.rollout(rollout_id)
    found = {item.device_id: payload(rollout, item) for item in world.updates(rollout_id)}
    return {name: (item["fwPackageUri"], item.get("sha256")) for name, item in found.items()}


@pytest.mark.parametrize("lab", [LAB, LAB_WITH_HASH])
def test_a_lab_rollout_of_the_same_version_does_not_decide_what_a_fleet_is_sent(
    lab: Firmware,
) -> None:
    world = World([*devices(20), device("lab")])
    fleet = tuple(world.hub.devices)[:20]
    roll_out(world, GOOD, *fleet)
    roll_out(world, lab, "lab")
    undone = roll_out(world, FIRMWARE, *fleet)
    back = roll_back(world.services, undone, ADA).rollout
    assert back.firmware == GOOD
    assert set(sent(world, back.id).values()) == {(GOOD.package_uri, GOOD.sha256)}


@pytest.mark.parametrize("count", [20, 1_100])
def test_devices_that_completed_different_packages_of_one_version_get_their_own(count: int) -> None:
    world = World([*devices(count), device("lab")])
    fleet = tuple(world.hub.devices)[:count]
    roll_out(world, GOOD, *fleet)
    roll_out(world, LAB, "lab")
    undone = roll_out(world, FIRMWARE)
    back = roll_back(world.services, undone, ADA).rollout
    assert world.until_over(back.id).counts.completed == count + 1
    assert sent(world, back.id) == {
        **dict.fromkeys(fleet, (GOOD.package_uri, GOOD.sha256)),
        "lab": (LAB.package_uri, None),
    }
    assert reported_versions(world) == {"1.5.0"}


def test_the_manifest_of_the_package_is_sent_with_it() -> None:
    world = World(devices(3))
    release = Firmware(
        version="1.5.0",
        package_uri="https://packages.example/1.5.0.bin",
        manifest=signed(version="1.5.0", sequence=8, allowDowngrade=True),
    )
    roll_out(world, release)
    undone = roll_out(world, FIRMWARE)
    world.stores.catalogue.save(LAB)
    back = roll_back(world.services, undone, ADA).rollout
    assert back.firmware == release


def test_the_same_package_is_sent_from_its_latest_location_with_its_latest_manifest() -> None:
    world = World([*devices(3), device("other")])
    old = Firmware(version="1.5.0", package_uri="https://packages.example/old?sig=1", sha256=SHA256)
    new = Firmware(
        version="1.5.0",
        package_uri="https://packages.example/new?sig=2",
        manifest=signed(version="1.5.0", sequence=9),
    )
    fleet = tuple(world.hub.devices)[:3]
    roll_out(world, old, *fleet)
    roll_out(world, new, "other")
    back = roll_back(world.services, roll_out(world, FIRMWARE, *fleet), ADA).rollout
    assert back.firmware == new


def test_a_fleet_that_reports_no_versions_goes_back_to_what_it_completed_before() -> None:
    world = World(devices(3, tutorial_only=True))
    roll_out(world, GOOD)
    undone = roll_out(world, FIRMWARE)
    require(world.update(undone, "d-000").previous_version is None, "no version is known")
    back = roll_back(world.services, undone, ADA).rollout
    assert (back.firmware, back.total) == (GOOD, 3)
    assert world.until_over(back.id).counts.completed == 3


def test_a_package_that_only_the_catalogue_knows_is_named_in_the_audit_trail() -> None:
    world = World(devices(3))
    world.stores.catalogue.save(
        Firmware(version="1.0.0", package_uri="https://packages.example/1.0.0.bin")
    )
    back = roll_back(world.services, roll_out(world, FIRMWARE), ADA).rollout
    created = back.audit.events[0].message
    assert "No rollout on record brought 1.0.0 to 3 devices" in created
    assert "It has no hash." in created


def test_without_a_known_package_the_next_step_is_named() -> None:
    world = World(devices(3))
    undone = roll_out(world, FIRMWARE)
    with pytest.raises(ConflictError, match=r"\(1\.0\.0\).*Register it with fleet firmware set"):
        roll_back(world.services, undone, ADA)


def test_the_catalogue_keeps_a_known_hash() -> None:
    world = World([*devices(3), device("lab")])
    roll_out(world, GOOD, "d-000")
    roll_out(world, LAB, "lab")
    assert world.stores.catalogue.get("1.5.0") == GOOD
    roll_out(world, LAB_WITH_HASH, "lab")
    assert world.stores.catalogue.get("1.5.0") == GOOD


def test_waves_are_spread_over_the_packages() -> None:
    world = World(devices(20))
    names = tuple(world.hub.devices)
    roll_out(world, GOOD, *names[:10])
    roll_out(world, LAB_WITH_HASH, *names[10:])
    created = world.create(Strategy(waves=(WavePlan(size=6),))).rollout.id
    world.until_over(created)
    back = roll_back(world.services, created, ADA).rollout.id
    canaries = {item.device_id for item in world.updates(back) if item.wave == 0}
    assert len(canaries & set(names[:10])) == 3


def test_an_earlier_rollout_of_another_version_does_not_end_the_search() -> None:
    """The versions in order: 1.5.0, another one on another device, then the undone one."""
    world = World([*devices(2), device("lab")])
    fleet = tuple(world.hub.devices)[:2]
    roll_out(world, GOOD, *fleet)
    other = Firmware(version="9.9.9", package_uri="https://lab.example/9.bin")
    roll_out(world, other, "lab")
    undone = roll_out(world, FIRMWARE, *fleet)
    back = roll_back(world.services, undone, ADA).rollout
    assert set(sent(world, back.id).values()) == {(GOOD.package_uri, GOOD.sha256)}
