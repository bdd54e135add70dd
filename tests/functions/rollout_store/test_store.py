"""One set of promises, kept by the store on Azurite and by the one in memory alike: records."""

from dataclasses import replace
from datetime import timedelta

import pytest

from functions.errors import LostRaceError
from functions.rollout_store import keys
from functions.rollout_store.port import DeviceLock, KeyUse, RolloutStore, Stored
from functions.rollouts.model.device_update import DeviceState
from functions.rollouts.model.rollout import Block, Event, Firmware
from functions.rollouts.rollout.pacing import Budget
from functions.rollouts.rollout.start_order import TargetDevice
from tests.functions.builders import NOON, at
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
    store: RolloutStore,
) -> None:
    rollout = full_rollout(keys.new_rollout_id(NOON))
    blocks = [Block(0, (full_update(),)), Block(1, (full_update("b"),))]
    store.add_rollout(rollout, blocks)
    found = read(store, rollout.id)
    assert found.rollout == rollout
    assert [found.blocks[0], found.blocks[1]] == blocks


def test_a_rollout_exists_once(store: RolloutStore) -> None:
    snapshot = stored(store, "a")
    with pytest.raises(LostRaceError):
        store.add_rollout(snapshot.rollout)


@pytest.mark.parametrize("device_ids", [("a", "b"), MANY])
def test_a_rollout_is_saved_with_its_blocks_or_not_at_all(
    store: RolloutStore, device_ids: tuple[str, ...]
) -> None:
    before = read(store, stored(store, *device_ids).rollout.id)
    first = changed(before, 0, DeviceState.ACCEPTED)
    saved = store.save(before, replace(before.rollout, revision=1), [first])
    with pytest.raises(LostRaceError):
        store.save(
            before, replace(before.rollout, revision=7), [changed(before, 0, DeviceState.FAILED)]
        )
    found = read(store, before.rollout.id)
    assert found.rollout.revision == 1
    assert found.blocks[0] == first
    again = changed(saved, 0, DeviceState.COMPLETED)
    store.save(saved, replace(saved.rollout, revision=2), [again])
    assert read(store, before.rollout.id).blocks[0] == again


def test_new_blocks_are_added_to_a_rollout_that_has_none_yet(store: RolloutStore) -> None:
    rollout, blocks = rollout_with(*MANY)
    bare = store.add_rollout(replace(rollout, marks=()))
    store.save(bare, rollout, blocks)
    assert store.device_ids(read(store, rollout.id)) == list(MANY)


def test_a_target_is_kept_in_parts_and_the_same_part_again_replaces_it(
    store: RolloutStore,
) -> None:
    rollout_id = keys.new_rollout_id(NOON)
    store.add_target_part(rollout_id, 0, [TargetDevice("a", "m/1"), TargetDevice("b")])
    store.add_target_part(rollout_id, 1, [TargetDevice("lost")])
    store.add_target_part(rollout_id, 1, [TargetDevice("c#?/\\")])
    assert store.target_parts(rollout_id, 0, 2) == [
        TargetDevice("a", "m/1"), TargetDevice("b"), TargetDevice("c#?/\\"),
    ]  # fmt: skip
    assert store.target_parts(rollout_id, 1, 2) == [TargetDevice("c#?/\\")]
    assert store.target_parts(rollout_id, 0, 0) == []


def test_firmware_is_found_by_its_version(store: RolloutStore) -> None:
    one = Firmware(version="2.4.0/β#1", package_uri="https://x.example/1", size_bytes=2**40)
    assert store.known_firmware(one.version) is None
    store.remember_firmware(one)
    assert store.known_firmware(one.version) == one
    other = replace(one, package_uri="https://x.example/2")
    store.remember_firmware(other)
    assert store.known_firmware(one.version) == other


def test_the_pace_is_taken_by_one_timer(store: RolloutStore) -> None:
    assert store.pace() is None
    pace = Budget(
        at=NOON, starts=1.5, twin_reads=-2.0, queries=0.25, factor=0.5, messages_spent=7.0
    )
    version = store.save_budget(pace, None)
    with pytest.raises(LostRaceError):
        store.save_budget(pace, None)
    found = store.pace()
    assert found == Stored(pace, version)
    store.save_budget(replace(pace, starts=0.0), version)
    with pytest.raises(LostRaceError):
        store.save_budget(pace, version)


def test_a_hold_is_taken_once_and_taken_over_from_the_holder_that_was_read(
    store: RolloutStore,
) -> None:
    hold = DeviceLock(rollout_id="r", taken_at=NOON)
    assert store.hold("a#b") is None
    store.add_device_lock("a#b", hold)
    with pytest.raises(LostRaceError):
        store.add_device_lock("a#b", hold)
    held = store.hold("a#b")
    assert held is not None
    assert held.record == hold
    store.save_device_lock("a#b", Stored(replace(hold, rollout_id="s"), held.version))
    with pytest.raises(LostRaceError):
        store.save_device_lock("a#b", Stored(hold, held.version))


def test_an_idempotency_key_is_first_used_once(store: RolloutStore) -> None:
    use = KeyUse(rollout_id="r", body_hash="h", used_at=NOON)
    key = "büild/1#\\?"
    assert store.key_use(key) is None
    store.use_key(key, use)
    with pytest.raises(LostRaceError):
        store.use_key(key, replace(use, rollout_id="other"))
    first = store.key_use(key)
    assert first is not None
    assert first.record == use
    later = replace(use, used_at=NOON + timedelta(minutes=5))
    held = store.save_key(key, Stored(later, first.version))
    with pytest.raises(LostRaceError):
        store.save_key(key, Stored(later, first.version))
    with pytest.raises(LostRaceError):
        store.release_key(key, first)
    store.release_key(key, held)
    assert store.key_use(key) is None


@pytest.mark.parametrize("rollout_id", ["", "x", "a/b", "' or 1 eq 1", "#", "9" * 200, "\x00"])
def test_a_text_that_is_no_rollout_id_is_simply_unknown(
    store: RolloutStore, rollout_id: str
) -> None:
    assert store.snapshot(rollout_id) is None


@pytest.mark.parametrize("device_ids", [("a", "b"), MANY])
def test_a_lost_race_leaves_neither_blocks_nor_events_behind(
    store: RolloutStore, device_ids: tuple[str, ...]
) -> None:
    before = read(store, stored(store, *device_ids).rollout.id)
    store.save(before, replace(before.rollout, revision=1))
    late = [changed(before, number, DeviceState.FAILED) for number in before.blocks]
    spilled = [Event(at=at(1), action="paused", by="ada", message="too late")]
    with pytest.raises(LostRaceError):
        store.save(before, replace(before.rollout, event_count=1), late, spilled)
    found = read(store, before.rollout.id)
    assert found.blocks == before.blocks
    assert store.events(found, 10, None).items == []
    assert store.blocks_with(before.rollout.id, [DeviceState.FAILED]) == []


@pytest.mark.parametrize("device_ids", [("a", "b"), MANY])
def test_a_rollout_that_is_saved_without_its_blocks_keeps_them(
    store: RolloutStore, device_ids: tuple[str, ...]
) -> None:
    before = read(store, stored(store, *device_ids).rollout.id)
    fresh = store.snapshot(before.rollout.id)
    assert fresh is not None
    saved = store.save(fresh, replace(fresh.rollout, revision=1))
    store.save(saved, replace(fresh.rollout, revision=2))
    assert read(store, before.rollout.id).blocks == before.blocks


def test_a_saved_snapshot_holds_what_was_read_and_what_was_written(store: RolloutStore) -> None:
    before = read(store, stored(store, *MANY).rollout.id)
    block = changed(before, 1, DeviceState.ACCEPTED)
    saved = store.save(before, replace(before.rollout, revision=1), [block])
    assert saved.rollout.revision == 1
    assert saved.version != before.version
    assert saved.blocks == {**before.blocks, 1: block}


def test_a_rollout_that_was_never_stored_cannot_be_saved(store: RolloutStore) -> None:
    snapshot = stored(store, "a")
    ghost = replace(snapshot.rollout, id=keys.new_rollout_id(at(-9)))
    with pytest.raises(LostRaceError):
        store.save(replace(snapshot, rollout=ghost), ghost)
    assert store.snapshot(ghost.id) is None


@pytest.mark.parametrize("version", ["\U0001f680" * 64, "v" * 64, "\U0001f680" * 300, " ", "."])
def test_a_version_of_any_form_is_looked_up(store: RolloutStore, version: str) -> None:
    firmware = Firmware(version=version, package_uri="https://x.example/1")
    assert store.known_firmware(version) is None
    store.remember_firmware(firmware)
    assert store.known_firmware(version) == firmware
    assert store.known_firmware(f"{version}1") is None
