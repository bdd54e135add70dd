"""Test the stores of single records: firmware, budget, device locks, idempotency keys."""

from dataclasses import replace
from datetime import timedelta

import pytest

from functions.errors import LostRaceError
from functions.rollout_store.ports.device_locks import DeviceLock
from functions.rollout_store.ports.idempotency_keys import KeyUse
from functions.rollout_store.ports.records import CursorError, Page, Stored
from functions.rollout_store.ports.stores import Stores
from functions.rollouts.model.catalogue_entry import CatalogueEntry
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.outage import HubHealth, HubIncident
from functions.rollouts.model.quotas import Budget
from tests.functions.builders import NOON


def test_the_latest_firmware_of_a_version_is_returned(stores: Stores) -> None:
    one = Firmware(version="2.4.0/β#1", package_uri="https://x.example/1", size_bytes=2**40)
    assert stores.catalogue.get(one.version) is None
    stores.catalogue.save(one)
    assert stores.catalogue.get(one.version) == one
    other = replace(one, package_uri="https://x.example/2")
    stores.catalogue.save(other)
    assert stores.catalogue.get(one.version) == other


@pytest.mark.parametrize("version", ["\U0001f680" * 64, "v" * 64, "\U0001f680" * 300, " ", "."])
def test_any_text_is_a_valid_version(stores: Stores, version: str) -> None:
    firmware = Firmware(version=version, package_uri="https://x.example/1")
    assert stores.catalogue.get(version) is None
    stores.catalogue.save(firmware)
    assert stores.catalogue.get(version) == firmware
    assert stores.catalogue.get(f"{version}1") is None


def test_an_entry_of_the_catalogue_is_replaced_by_its_version(stores: Stores) -> None:
    firmware = Firmware(version="1/#", package_uri="https://x.example/1", reported_as=("1",))
    entry = CatalogueEntry(firmware=firmware, notes="a", registered=True, used=False)
    stores.catalogue.save(firmware, "1")
    assert stores.catalogue.get_entry("1") is None
    version = stores.catalogue.save_entry(entry, None)
    with pytest.raises(LostRaceError):
        stores.catalogue.save_entry(entry, None)
    assert stores.catalogue.get_entry("1/#") == Stored(entry, version)
    changed = replace(entry, notes="b", revision=2)
    stores.catalogue.save_entry(changed, version)
    with pytest.raises(LostRaceError):
        stores.catalogue.save_entry(entry, version)
    assert stores.catalogue.list_entries(5, None) == Page([changed], None)


def test_the_name_that_devices_report_may_become_a_version_of_its_own(stores: Stores) -> None:
    firmware = Firmware(version="1.0.0", package_uri="https://x.example/1")
    stores.catalogue.save(firmware, "1.0")
    entry = CatalogueEntry(firmware=replace(firmware, version="1.0"))
    stores.catalogue.save_entry(entry, None)
    stored = stores.catalogue.get_entry("1.0")
    assert stored is not None
    assert stored.record == entry


def test_the_catalogue_is_listed_in_pages_without_other_names(stores: Stores) -> None:
    for version in ("c", "a", "b", "d"):
        firmware = Firmware(version=version, package_uri="https://x.example/1")
        stores.catalogue.save_entry(CatalogueEntry(firmware=firmware), None)
        stores.catalogue.save(firmware, f"{version}-other")
    first = stores.catalogue.list_entries(3, None)
    assert [item.firmware.version for item in first.items] == ["a", "b", "c"]
    second = stores.catalogue.list_entries(3, first.cursor)
    assert [item.firmware.version for item in second.items] == ["d"]
    assert second.cursor is None
    with pytest.raises(CursorError):
        stores.catalogue.list_entries(3, "ä")


def test_one_of_two_ticks_takes_the_budget(stores: Stores) -> None:
    assert stores.budget.get() is None
    budget = Budget(
        at=NOON,
        starts=1.5,
        twin_reads=-2.0,
        queries=0.25,
        factor=0.5,
        messages_spent=7.0,
        health=HubHealth(
            failed=3,
            silent=2,
            failed_reads=1,
            responded_at=NOON,
            incident=HubIncident(
                since=NOON,
                calls=5,
                failed=4,
                example="503",
                probe=3,
                probe_at=NOON,
                by_reads=True,
                is_refusal=True,
                refuses_reads=True,
            ),
            refused_since=NOON,
        ),
    )
    version = stores.budget.save(budget, None)
    with pytest.raises(LostRaceError):
        stores.budget.save(budget, None)
    found = stores.budget.get()
    assert found == Stored(budget, version)
    stores.budget.save(replace(budget, starts=0.0), version)
    with pytest.raises(LostRaceError):
        stores.budget.save(budget, version)


def test_a_device_lock_is_added_once_and_replaced_by_its_version(
    stores: Stores,
) -> None:
    lock = DeviceLock(rollout_id="r", taken_at=NOON)
    assert stores.locks.get("a#b") is None
    stores.locks.add("a#b", lock)
    with pytest.raises(LostRaceError):
        stores.locks.add("a#b", lock)
    stored = stores.locks.get("a#b")
    assert stored is not None
    assert stored.record == lock
    stores.locks.save("a#b", Stored(replace(lock, rollout_id="s"), stored.version))
    with pytest.raises(LostRaceError):
        stores.locks.save("a#b", Stored(lock, stored.version))


def test_an_idempotency_key_is_added_once_and_replaced_and_deleted_by_its_version(
    stores: Stores,
) -> None:
    use = KeyUse(rollout_id="r", body_hash="h", used_at=NOON)
    key = "büild/1#\\?"
    assert stores.keys.get(key) is None
    stores.keys.add(key, use)
    with pytest.raises(LostRaceError):
        stores.keys.add(key, replace(use, rollout_id="other"))
    first = stores.keys.get(key)
    assert first is not None
    assert first.record == use
    later = replace(use, used_at=NOON + timedelta(minutes=5))
    stored = stores.keys.save(key, Stored(later, first.version))
    with pytest.raises(LostRaceError):
        stores.keys.save(key, Stored(later, first.version))
    with pytest.raises(LostRaceError):
        stores.keys.delete(key, first)
    stores.keys.delete(key, stored)
    assert stores.keys.get(key) is None
