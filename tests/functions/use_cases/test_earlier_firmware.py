"""Test which earlier firmware is found for devices, and what is said about the others."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import pytest

from functions.errors import ConflictError
from functions.rollout_store.ports.rollouts import MAX_FIRMWARE_CHARACTERS_BESIDE_BLOCK
from functions.rollouts.device.undoing import Evidence
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.rollout import RolloutStatus
from functions.use_cases import completed_firmware, earlier_firmware
from functions.use_cases.completed_firmware import find_completed
from functions.use_cases.earlier_firmware import EarlierFirmware
from functions.use_cases.undone_devices import UndoneDevice, UndoneDevices
from tests.cases.steps import roll_out
from tests.functions.builders import make_rollout, make_update
from tests.functions.manifests import signed
from tests.functions.use_cases.world import FIRMWARE, World, devices

NEWEST = "00000000000000-000000000000"  # the id of a rollout that is newer than all others
UNDONE = make_rollout(rollout_id=NEWEST, status=RolloutStatus.COMPLETED)
EARLIER = Firmware(version="1.5.0", package_uri="https://packages.example/1.5.0.bin")


@pytest.fixture
def world() -> World:
    return World(devices(3), still=True)


def taken(versions: Mapping[str, str | None]) -> dict[str, UndoneDevice]:
    """Return devices by id, with the version that each reported before the undone update."""
    return {
        name: UndoneDevice(
            make_update(name, previous_version=version), UNDONE.firmware, Evidence.RUNS
        )
        for name, version in versions.items()
    }


def find(world: World, versions: Mapping[str, str | None], **more: Any) -> EarlierFirmware:
    return earlier_firmware.find(world.services, UNDONE, UndoneDevices(taken(versions), **more))


def refusal(world: World, versions: Mapping[str, str | None], **more: Any) -> str:
    with pytest.raises(ConflictError) as caught:
        find(world, versions, **more)
    return str(caught.value)


def names(count: int) -> Sequence[str]:
    return [f"d-{number}" for number in range(count)]


@pytest.mark.parametrize(
    ("count", "listed"),
    [
        (1, "1 device that moved on (d-0)"),
        (5, "5 devices that moved on (d-0; d-1; d-2; d-3; d-4)"),
        (6, "6 devices that moved on (d-0; d-1; d-2; d-3; d-4; and 1 more)"),
    ],
)
def test_devices_that_are_left_out_are_counted_and_five_are_named(
    world: World, count: int, listed: str
) -> None:
    left_out = {"that moved on": list(reversed(names(count)))}
    message = refusal(world, {}, left_out=left_out)
    assert f"none runs 2.4.0 any more. Not brought back: {listed}. Roll back the" in message
    world.stores.catalogue.save(EARLIER)
    found = find(world, {"a": "1.5.0", "b": "0.9", "c": None}, left_out=left_out)
    assert found.left_out == (
        f" Not brought back: {listed}."
        " Not brought back: 2 devices whose earlier firmware is not known (b; c)."
    )


def test_without_a_device_that_completed_there_is_nothing_to_bring_back(world: World) -> None:
    assert "The rollout is completed and no device has completed" in refusal(world, {})


def test_versions_without_a_package_are_named_with_the_next_step(world: World) -> None:
    versions = {name: f"0.{name[2:]}" for name in names(6)}
    message = refusal(world, versions)
    assert "brought its earlier firmware (0.0, 0.1, 0.2, 0.3, 0.4)," in message
    assert "Register it with fleet firmware set" in message
    assert "no device reported its earlier firmware version" in refusal(world, {"a": None})


def test_a_device_that_ran_the_version_before_has_no_earlier_firmware(world: World) -> None:
    world.stores.catalogue.save(FIRMWARE)
    world.stores.catalogue.save(EARLIER)
    assert find(world, {"a": "2.4.0", "b": "1.5.0"}).firmware == {"b": EARLIER}


@pytest.mark.parametrize(
    ("sha256", "count", "sentence"),
    [
        (None, 1, "1.5.0 to 1 device: the package is that of the catalogue. It has no hash."),
        ("a" * 64, 2, "1.5.0 to 2 devices: the package is that of the catalogue."),
    ],
)
def test_a_package_that_only_its_name_tells_is_named(
    world: World, sha256: str | None, count: int, sentence: str
) -> None:
    package = replace(EARLIER, sha256=sha256)
    world.stores.catalogue.save(package)
    found = find(world, dict.fromkeys(names(count), "1.5.0"))
    assert found.firmware == dict.fromkeys(names(count), package)
    assert found.by_name == f" No rollout on record brought {sentence}"
    assert found.left_out == ""


def test_devices_that_would_refuse_are_left_out_or_no_rollback_is_made(world: World) -> None:
    expired = signed(version="1.5.0", expiresAt="2020-01-01T00:00:00Z")
    world.stores.catalogue.save(replace(EARLIER, manifest=expired))
    only = {"a": "1.5.0", "b": "1.5.0"}
    assert "firmware 1.5.0 (its manifest expired at 2020-01-01" in refusal(world, only)
    other = replace(EARLIER, version="1.4.0")
    world.stores.catalogue.save(other)
    found = find(world, {**only, "c": "1.4.0"})
    assert found.firmware == {"c": other}
    assert found.left_out.startswith(
        " Not brought back: 2 devices that would refuse firmware 1.5.0"
    )


def test_the_firmware_that_a_device_completed_counts_more_than_the_catalogue(
    world: World,
) -> None:
    roll_out(world, "1.5.0")
    world.stores.catalogue.save(replace(EARLIER, sha256="b" * 64))
    found = find(world, {"d-000": "1.5.0", "d-001": None, "unknown": "1.5.0"})
    assert found.firmware["d-000"] == found.firmware["d-001"] == EARLIER
    assert found.firmware["unknown"].sha256 == "b" * 64
    assert "to 1 device:" in found.by_name


def test_of_several_completed_rollouts_the_newest_that_fits_counts(world: World) -> None:
    for version in ("1.4.0", "1.5.0", "1.6.0", "2.4.0"):
        world.pass_time(seconds=1)
        roll_out(world, version)
    wanted = taken({"d-000": "1.5.0", "d-001": None, "d-002": "9.9", "unknown": "1.5.0"})
    found = find_completed(world.stores.rollouts, NEWEST, wanted)
    assert {name: item.version for name, item in found.items()} == {
        "d-000": "1.5.0",
        "d-001": "1.6.0",
    }
    undone_id = next(
        item.id
        for item in world.stores.rollouts.list_rollouts(None, 10, None).items
        if item.firmware.version == "1.5.0"
    )
    found = find_completed(world.stores.rollouts, undone_id, wanted)
    assert {name: item.version for name, item in found.items()} == {"d-001": "1.4.0"}


def save_package(world: World, version: str, characters: int) -> None:
    """Store a package whose record has this length."""
    short = Firmware(version=version, package_uri="")
    missing = characters - len(json.dumps(asdict(short)))
    world.stores.catalogue.save(replace(short, package_uri="x" * missing))


@pytest.mark.parametrize(("count", "kept"), [(100, 2), (101, 3)])
def test_packages_of_most_devices_come_first_as_far_as_a_rollback_has_room(
    world: World, count: int, kept: int
) -> None:
    """Let two packages just fit beside the only block of a rollback of up to 100 devices."""
    for version in ("1.0", "1.1", "1.2"):
        save_package(world, version, MAX_FIRMWARE_CHARACTERS_BESIDE_BLOCK // 2)
    versions = dict.fromkeys(names(count - 3), "1.2") | {"b": "1.0", "c": "1.0", "d": "1.1"}
    found = find(world, versions)
    assert len({item.version for item in found.firmware.values()}) == kept
    assert ("d" in found.firmware) is (kept == 3)
    assert found.left_out == (
        ""
        if kept == 3
        else " Not brought back: 1 device whose versions exceed what one rollback can hold: 1.1."
        " Bring them back with one rollout per version."
    )


def test_only_rollouts_that_may_have_what_is_wanted_are_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completed_firmware, "_PAGE", 1)
    ids = []
    for version in ("1.4.0", "1.5.0", "1.6.0"):
        world.pass_time(seconds=1)
        ids.append(roll_out(world, version))
    read, get = list[str](), world.stores.rollouts.get

    def record(rollout_id: str) -> Any:
        read.append(rollout_id)
        return get(rollout_id)

    monkeypatch.setattr(world.stores.rollouts, "get", record)
    find_in = partial(find_completed, world.stores.rollouts, NEWEST)
    assert set(find_in(taken({"d-000": "1.4.0"}))) == {"d-000"}
    assert read == ids[:1]
    monkeypatch.setattr(completed_firmware, "MAX_SEARCHED", 2)
    assert not find_in(taken({"d-000": "1.4.0"}))
    assert set(find_in(taken({"d-000": "1.5.0"}))) == {"d-000"}
