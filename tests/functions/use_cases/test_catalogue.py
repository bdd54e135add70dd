"""Test what the catalogue keeps of the firmware that rollouts name."""

from dataclasses import replace
from typing import Any

import pytest

from functions.errors import InvalidError, LostRaceError
from functions.rollout_store.ports.firmware_catalogue import FirmwareCatalogue
from functions.rollouts.model.catalogue_entry import CatalogueEntry
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.identity import Identity, IdentityKind
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.strategy import Strategy
from functions.use_cases import catalogue as rules
from functions.use_cases.catalogue import MAX_ATTEMPTS
from simulator.rehearsal.memory_stores import MemoryStores
from tests.functions.builders import NOON, at
from tests.functions.fragile import before
from tests.functions.manifests import signed

HASH, OTHER_HASH = "a" * 64, "b" * 64
FIRST = Firmware(version="2.4.0", package_uri="https://packages.example/fw.bin", sha256=HASH)
MOVED = replace(FIRST, package_uri="https://mirror.example/fw.bin")
OTHER = replace(MOVED, sha256=OTHER_HASH)
UNKNOWN = replace(MOVED, sha256=None)


@pytest.fixture
def catalogue() -> FirmwareCatalogue:
    return MemoryStores().catalogue


def request(firmware: Firmware, **more: Any) -> NewRollout:
    return NewRollout(firmware=firmware, strategy=Strategy(), body_hash="hash", **more)


def name(catalogue: FirmwareCatalogue, firmware: Firmware, **more: Any) -> CatalogueEntry:
    """Let a rollout name the firmware. Return its entry."""
    rules.save_named(catalogue, request(firmware, **more), at(60))
    return entry(catalogue)


def entry(catalogue: FirmwareCatalogue) -> CatalogueEntry:
    stored = catalogue.get_entry("2.4.0")
    assert stored is not None
    return stored.record


def register(catalogue: FirmwareCatalogue, firmware: Firmware, **more: Any) -> CatalogueEntry:
    """Store an entry as a caller who registers the firmware does."""
    made = CatalogueEntry(firmware=firmware, registered=True, used=False, created_at=NOON, **more)
    stored = catalogue.get_entry(firmware.version)
    catalogue.save_entry(made, stored.version if stored else None)
    return made


def test_a_new_version_is_kept_with_who_named_it(catalogue: FirmwareCatalogue) -> None:
    ada = Identity(kind=IdentityKind.API, name="ada")
    assert name(catalogue, FIRST, created_by=ada) == CatalogueEntry(
        firmware=FIRST,
        registered=False,
        used=True,
        revision=1,
        created_at=at(60),
        created_by=ada,
        changed_at=at(60),
        changed_by=ada,
    )


@pytest.mark.parametrize(
    ("stored", "named", "kept"),
    [
        (FIRST, MOVED, MOVED),  # the same package at its latest location
        (FIRST, OTHER, FIRST),
        (FIRST, UNKNOWN, FIRST),
        (UNKNOWN, OTHER, OTHER),
        (UNKNOWN, replace(UNKNOWN, size_bytes=9), replace(UNKNOWN, size_bytes=9)),
    ],
)
def test_a_package_with_a_known_hash_is_replaced_only_by_itself(
    catalogue: FirmwareCatalogue, stored: Firmware, named: Firmware, kept: Firmware
) -> None:
    name(catalogue, stored)
    after = name(catalogue, named)
    assert after.firmware == kept
    assert after.revision == (1 if kept == stored else 2)


def test_a_registered_package_is_marked_as_used_and_otherwise_kept(
    catalogue: FirmwareCatalogue,
) -> None:
    made = register(catalogue, FIRST, notes="approved")
    assert name(catalogue, MOVED) == replace(made, used=True, revision=2)
    assert name(catalogue, FIRST).revision == 2


def test_a_manifest_is_kept_unless_a_new_one_is_named(catalogue: FirmwareCatalogue) -> None:
    one, other = signed(sha256=HASH), signed(sha256=HASH, sequence=9)
    assert one != other
    name(catalogue, replace(FIRST, manifest=one))
    assert name(catalogue, MOVED).firmware == replace(MOVED, manifest=one)
    assert name(catalogue, replace(MOVED, manifest=other)).firmware.manifest == other


def test_a_rollout_of_a_version_alone_takes_the_firmware_of_the_catalogue(
    catalogue: FirmwareCatalogue,
) -> None:
    alone = request(Firmware(version="2.4.0", package_uri=""))
    with pytest.raises(InvalidError, match="not known") as caught:
        rules.complete(catalogue, alone)
    assert caught.value.fields[0].pointer == "/firmware/version"
    assert "register it with fleet firmware set" in caught.value.fields[0].detail
    register(catalogue, replace(FIRST, reported_as=("2.4",)))
    rules.save_aliases(catalogue, [entry(catalogue).firmware])
    completed = rules.complete(catalogue, alone)
    assert completed == replace(alone, firmware=entry(catalogue).firmware, is_from_catalogue=True)
    assert rules.complete(catalogue, request(OTHER)) == request(OTHER)
    with pytest.raises(InvalidError) as caught:
        rules.complete(catalogue, request(Firmware(version="2.4", package_uri="")))
    assert "2.4 is another name of 2.4.0" in caught.value.fields[0].detail


@pytest.mark.parametrize("changed", [OTHER, None])
def test_a_rollout_of_a_version_alone_refuses_another_firmware_than_it_took(
    catalogue: FirmwareCatalogue, changed: Firmware | None
) -> None:
    if changed is not None:
        register(catalogue, changed)
    with pytest.raises(LostRaceError, match=r"2\.4\.0 was changed by another request"):
        name(catalogue, FIRST, is_from_catalogue=True)
    register(catalogue, FIRST)
    assert name(catalogue, FIRST, is_from_catalogue=True).used


def test_a_new_location_is_kept_if_the_catalogue_has_the_package_at_the_earlier_one(
    catalogue: FirmwareCatalogue,
) -> None:
    rules.relocate(catalogue, FIRST, MOVED)
    assert catalogue.get_entry("2.4.0") is None
    made = register(catalogue, FIRST)
    rules.relocate(catalogue, FIRST, FIRST)
    rules.relocate(catalogue, OTHER, MOVED)
    assert entry(catalogue) == made
    rules.relocate(catalogue, FIRST, MOVED)
    assert entry(catalogue) == replace(made, firmware=MOVED, revision=2)
    with before(catalogue, "save_entry", lambda: register(catalogue, OTHER)):
        rules.relocate(catalogue, MOVED, FIRST)
    assert entry(catalogue).firmware == OTHER


def test_a_change_that_loses_every_race_is_given_up(catalogue: FirmwareCatalogue) -> None:
    attempts = list[int]()
    untyped: Any = catalogue

    def lose(*_: Any) -> None:
        attempts.append(1)
        raise LostRaceError("always")

    untyped.save_entry = lose
    with pytest.raises(LostRaceError, match="10 times"):
        name(catalogue, FIRST)
    assert len(attempts) == MAX_ATTEMPTS


def test_another_name_is_kept_where_it_is_free_and_follows_its_version(
    catalogue: FirmwareCatalogue,
) -> None:
    name(catalogue, replace(FIRST, reported_as=("2.4", "2.4.0")))
    moved = replace(MOVED, reported_as=("2.4", "2.4.0"))
    name(catalogue, moved)
    assert catalogue.get("2.4") == catalogue.get("2.4.0") == moved
    thief = Firmware(version="9", package_uri="https://x.example/9", reported_as=("2.4", "9.0"))
    rules.save_aliases(catalogue, [thief])
    assert catalogue.get("2.4") == moved
    assert catalogue.get("9.0") == thief


def test_a_package_is_found_under_each_of_its_names_and_as_its_version_has_it(
    catalogue: FirmwareCatalogue,
) -> None:
    assert rules.find_package(catalogue, "2.4") is None
    named = replace(FIRST, reported_as=("2.4",))
    catalogue.save(named, "2.4")
    assert rules.find_package(catalogue, "2.4") == named  # the version itself is not kept
    moved = replace(MOVED, reported_as=("2.4",))
    catalogue.save(moved)
    assert rules.find_package(catalogue, "2.4") == rules.find_package(catalogue, "2.4.0") == moved
    catalogue.save(MOVED)
    assert rules.find_package(catalogue, "2.4") is None  # it has the name no more


def test_packages_are_the_same_if_version_and_hash_are_known_to_be() -> None:
    assert rules.same_package(FIRST, MOVED)
    assert not rules.same_package(FIRST, OTHER)
    assert not rules.same_package(FIRST, replace(MOVED, version="2.5.0"))
    assert not rules.same_package(UNKNOWN, UNKNOWN)
    by_manifest = replace(UNKNOWN, manifest=signed(sha256=HASH))
    assert rules.digest(by_manifest) == HASH
    assert rules.same_package(FIRST, by_manifest)


def test_a_change_says_whether_the_version_is_new(catalogue: FirmwareCatalogue) -> None:
    made = CatalogueEntry(firmware=FIRST)
    assert rules.change(catalogue, "2.4.0", lambda _: made) == (made, True)
    assert rules.change(catalogue, "2.4.0", lambda _: made) == (made, False)
    moved = replace(made, firmware=MOVED)
    changed = replace(moved, revision=2)
    assert rules.change(catalogue, "2.4.0", lambda _: moved) == (changed, False)
