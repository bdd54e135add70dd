"""One set of promises, kept by the store on Azurite and by the one in memory alike: records."""

from dataclasses import replace
from datetime import timedelta

import pytest

from functions.errors import LostRaceError
from functions.rollout_store.ports.device_locks import DeviceLock
from functions.rollout_store.ports.idempotency_keys import KeyUse
from functions.rollout_store.ports.records import Stored
from functions.rollout_store.ports.rollout_ids import new_rollout_id
from functions.rollout_store.ports.stores import Stores
from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.block import Block
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.quotas import Budget
from functions.rollouts.model.target import TargetDevice
from tests.functions.builders import NOON, at, change
from tests.functions.rollout_store.records import (
    MANY,
    changed,
    full_rollout,
    full_update,
    read,
    rollout_with,
    stored,
)


def test_a_full_rollout_and_a_full_device_update_come_back_as_they_were(
    stores: Stores,
) -> None:
    rollout = full_rollout(new_rollout_id(NOON))
    blocks = [Block(0, (full_update(),)), Block(1, (full_update("b"),))]
    stores.rollouts.add(rollout, blocks)
    found = read(stores, rollout.id)
    assert found.rollout == rollout
    assert [found.blocks[0], found.blocks[1]] == blocks


def test_a_rollout_exists_once(stores: Stores) -> None:
    snapshot = stored(stores, "a")
    with pytest.raises(LostRaceError):
        stores.rollouts.add(snapshot.rollout)


@pytest.mark.parametrize("device_ids", [("a", "b"), MANY])
def test_a_rollout_is_saved_with_its_blocks_or_not_at_all(
    stores: Stores, device_ids: tuple[str, ...]
) -> None:
    before = read(stores, stored(stores, *device_ids).rollout.id)
    first = changed(before, 0, DeviceState.ACCEPTED)
    saved = stores.rollouts.save(before, replace(before.rollout, revision=1), [first])
    with pytest.raises(LostRaceError):
        stores.rollouts.save(
            before, replace(before.rollout, revision=7), [changed(before, 0, DeviceState.FAILED)]
        )
    found = read(stores, before.rollout.id)
    assert found.rollout.revision == 1
    assert found.blocks[0] == first
    again = changed(saved, 0, DeviceState.COMPLETED)
    stores.rollouts.save(saved, replace(saved.rollout, revision=2), [again])
    assert read(stores, before.rollout.id).blocks[0] == again


def test_new_blocks_are_added_to_a_rollout_that_has_none_yet(stores: Stores) -> None:
    rollout, blocks = rollout_with(*MANY)
    bare = stores.rollouts.add(replace(rollout, block_summaries=()))
    stores.rollouts.save(bare, rollout, blocks)
    assert stores.rollouts.list_device_ids(read(stores, rollout.id)) == list(MANY)


def test_a_target_is_kept_in_parts_and_the_same_part_again_replaces_it(
    stores: Stores,
) -> None:
    rollout_id = new_rollout_id(NOON)
    stores.targets.save_part(rollout_id, 0, [TargetDevice("a", "m/1"), TargetDevice("b")])
    stores.targets.save_part(rollout_id, 1, [TargetDevice("lost")])
    stores.targets.save_part(rollout_id, 1, [TargetDevice("c#?/\\")])
    assert stores.targets.get_parts(rollout_id, 0, 2) == [
        TargetDevice("a", "m/1"), TargetDevice("b"), TargetDevice("c#?/\\"),
    ]  # fmt: skip
    assert stores.targets.get_parts(rollout_id, 1, 2) == [TargetDevice("c#?/\\")]
    assert stores.targets.get_parts(rollout_id, 0, 0) == []


def test_firmware_is_found_by_its_version(stores: Stores) -> None:
    one = Firmware(version="2.4.0/β#1", package_uri="https://x.example/1", size_bytes=2**40)
    assert stores.catalogue.get(one.version) is None
    stores.catalogue.save(one)
    assert stores.catalogue.get(one.version) == one
    other = replace(one, package_uri="https://x.example/2")
    stores.catalogue.save(other)
    assert stores.catalogue.get(one.version) == other


def test_the_pace_is_taken_by_one_timer(stores: Stores) -> None:
    assert stores.budget.get() is None
    pace = Budget(
        at=NOON, starts=1.5, twin_reads=-2.0, queries=0.25, factor=0.5, messages_spent=7.0
    )
    version = stores.budget.save(pace, None)
    with pytest.raises(LostRaceError):
        stores.budget.save(pace, None)
    found = stores.budget.get()
    assert found == Stored(pace, version)
    stores.budget.save(replace(pace, starts=0.0), version)
    with pytest.raises(LostRaceError):
        stores.budget.save(pace, version)


def test_a_hold_is_taken_once_and_taken_over_from_the_holder_that_was_read(
    stores: Stores,
) -> None:
    hold = DeviceLock(rollout_id="r", taken_at=NOON)
    assert stores.locks.get("a#b") is None
    stores.locks.add("a#b", hold)
    with pytest.raises(LostRaceError):
        stores.locks.add("a#b", hold)
    held = stores.locks.get("a#b")
    assert held is not None
    assert held.record == hold
    stores.locks.save("a#b", Stored(replace(hold, rollout_id="s"), held.version))
    with pytest.raises(LostRaceError):
        stores.locks.save("a#b", Stored(hold, held.version))


def test_an_idempotency_key_is_first_used_once(stores: Stores) -> None:
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
    held = stores.keys.save(key, Stored(later, first.version))
    with pytest.raises(LostRaceError):
        stores.keys.save(key, Stored(later, first.version))
    with pytest.raises(LostRaceError):
        stores.keys.delete(key, first)
    stores.keys.delete(key, held)
    assert stores.keys.get(key) is None


@pytest.mark.parametrize("rollout_id", ["", "x", "a/b", "' or 1 eq 1", "#", "9" * 200, "\x00"])
def test_a_text_that_is_no_rollout_id_is_simply_unknown(stores: Stores, rollout_id: str) -> None:
    assert stores.rollouts.get(rollout_id) is None


@pytest.mark.parametrize("device_ids", [("a", "b"), MANY])
def test_a_lost_race_leaves_neither_blocks_nor_events_behind(
    stores: Stores, device_ids: tuple[str, ...]
) -> None:
    before = read(stores, stored(stores, *device_ids).rollout.id)
    stores.rollouts.save(before, replace(before.rollout, revision=1))
    late = [changed(before, number, DeviceState.FAILED) for number in before.blocks]
    spilled = [Event(at=at(1), action="paused", by="ada", message="too late")]
    with pytest.raises(LostRaceError):
        stores.rollouts.save(before, change(before.rollout, event_count=1), late, spilled)
    found = read(stores, before.rollout.id)
    assert found.blocks == before.blocks
    assert stores.rollouts.list_events(found, 10, None).items == []
    assert stores.rollouts.list_blocks_with(before.rollout.id, [DeviceState.FAILED]) == []


@pytest.mark.parametrize("device_ids", [("a", "b"), MANY])
def test_a_rollout_that_is_saved_without_its_blocks_keeps_them(
    stores: Stores, device_ids: tuple[str, ...]
) -> None:
    before = read(stores, stored(stores, *device_ids).rollout.id)
    fresh = stores.rollouts.get(before.rollout.id)
    assert fresh is not None
    saved = stores.rollouts.save(fresh, replace(fresh.rollout, revision=1))
    stores.rollouts.save(saved, replace(fresh.rollout, revision=2))
    assert read(stores, before.rollout.id).blocks == before.blocks


def test_a_saved_snapshot_holds_what_was_read_and_what_was_written(stores: Stores) -> None:
    before = read(stores, stored(stores, *MANY).rollout.id)
    block = changed(before, 1, DeviceState.ACCEPTED)
    saved = stores.rollouts.save(before, replace(before.rollout, revision=1), [block])
    assert saved.rollout.revision == 1
    assert saved.version != before.version
    assert saved.blocks == {**before.blocks, 1: block}


def test_a_rollout_that_was_never_stored_cannot_be_saved(stores: Stores) -> None:
    snapshot = stored(stores, "a")
    ghost = replace(snapshot.rollout, id=new_rollout_id(at(-9)))
    with pytest.raises(LostRaceError):
        stores.rollouts.save(replace(snapshot, rollout=ghost), ghost)
    assert stores.rollouts.get(ghost.id) is None


@pytest.mark.parametrize("version", ["\U0001f680" * 64, "v" * 64, "\U0001f680" * 300, " ", "."])
def test_a_version_of_any_form_is_looked_up(stores: Stores, version: str) -> None:
    firmware = Firmware(version=version, package_uri="https://x.example/1")
    assert stores.catalogue.get(version) is None
    stores.catalogue.save(firmware)
    assert stores.catalogue.get(version) == firmware
    assert stores.catalogue.get(f"{version}1") is None
