"""Test what the catalogue keeps of a registration, and how it names what it does not know."""

from dataclasses import replace
from datetime import timedelta

import pytest

from functions.errors import ConflictError, UnknownError
from functions.rollouts.model.catalogue_entry import CatalogueEntry
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.identity import Identity, IdentityKind
from functions.use_cases import register_firmware
from tests.functions.use_cases.world import FIRMWARE, World

ADA = Identity(kind=IdentityKind.PRINCIPAL, name="ada")
BOB = Identity(kind=IdentityKind.PRINCIPAL, name="bob")


@pytest.fixture
def world() -> World:
    return World([], still=True)


def test_an_entry_names_who_created_it_and_who_changed_it_last(world: World) -> None:
    began = world.now
    made = register_firmware.register(world.services, FIRMWARE, "", ADA)
    assert (made.entry.created_at, made.entry.created_by) == (began, ADA)
    assert (made.entry.changed_at, made.entry.changed_by) == (began, ADA)
    world.pass_time(hours=1)
    same = register_firmware.register(world.services, FIRMWARE, "", BOB)
    assert (same.entry, same.is_new) == (made.entry, False)
    entry = register_firmware.register(world.services, FIRMWARE, "Lots 1 to 40.", BOB).entry
    assert (entry.created_at, entry.created_by) == (began, ADA)
    assert (entry.changed_at, entry.changed_by) == (began + timedelta(hours=1), BOB)
    assert (entry.registered, entry.used, entry.revision) == (True, False, 2)


def test_a_message_repeats_64_characters_of_a_version(world: World) -> None:
    known, unknown = "1" * 65, "2" * 65
    named = replace(FIRMWARE, reported_as=(known,))
    register_firmware.register(world.services, named, "", ADA)
    for version, words in ((known, "is another name of '2.4.0'"), (unknown, "has no firmware")):
        with pytest.raises(UnknownError, match=words) as caught:
            register_firmware.get_entry(world.services, version)
        assert f"'{version[:64]}'" in str(caught.value)


HASH, OTHER_HASH = "a" * 64, "b" * 64
LINK = "https://packages.example/fw.bin?se=2030-01-01T00%3A00%3A00Z&sig="
ELSEWHERE = "https://other.example/fw.bin"


def package(uri: str, sha256: str | None) -> Firmware:
    return replace(FIRMWARE, package_uri=uri, sha256=sha256)


@pytest.mark.parametrize(
    ("used", "stored", "new", "refusal"),
    [
        (True, package(LINK + "a", None), package(ELSEWHERE, HASH), "its SHA-256 is not known"),
        (True, package(LINK + "a", None), package(LINK + "b", None), None),
        (True, package(LINK + "a", HASH), package(LINK + "b", None), "Send it as sha256"),
        (True, package(LINK, HASH), package(ELSEWHERE, OTHER_HASH), f"not {OTHER_HASH}"),
        (True, package(LINK, HASH), package(ELSEWHERE, HASH), None),
        (False, package(LINK, HASH), package(ELSEWHERE, OTHER_HASH), None),
        (True, package(ELSEWHERE + "?v=1", None), package(ELSEWHERE + "?v=2", None), "not known"),
    ],
)
def test_a_version_that_a_rollout_has_used_keeps_its_package(
    world: World, used: bool, stored: Firmware, new: Firmware, refusal: str | None
) -> None:
    world.stores.catalogue.save_entry(CatalogueEntry(firmware=stored, used=used), None)
    if refusal is None:
        kept = register_firmware.register(world.services, new, "", ADA).entry
        assert (kept.firmware, kept.used, kept.registered) == (new, used, True)
        return
    with pytest.raises(ConflictError, match=refusal):
        register_firmware.register(world.services, new, "", ADA)
