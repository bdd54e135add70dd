"""Test the stores in memory beyond what they share with Table Storage."""

from dataclasses import replace

import pytest

from functions.errors import LostRaceError
from functions.rollout_store.ports.records import CursorError
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollout_store.ports.update_filter import ALL_UPDATES, UpdateFilter
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.target import TargetDevice
from simulator.rehearsal.memory_stores import MemoryStores
from tests.functions.builders import ROLLOUT_ID, at, change
from tests.simulator.rehearsal.builders import make_block, make_event, make_rollout


def add_rollout(stores: MemoryStores, rollout_id: str = ROLLOUT_ID) -> Snapshot:
    """Store a rollout with devices a and b in its first block, and c in the second."""
    blocks = [make_block(0, "a", "b"), make_block(1, "c", state=DeviceState.FAILED)]
    stores.targets.save_history(rollout_id, {"a": 0, "b": 0, "c": 1})
    return stores.rollouts.add(make_rollout(rollout_id), blocks)


def test_a_rollout_is_added_once() -> None:
    stores = MemoryStores()
    add_rollout(stores)

    with pytest.raises(LostRaceError):
        add_rollout(stores)


def test_a_save_of_an_outdated_snapshot_changes_nothing() -> None:
    stores = MemoryStores()
    first = add_rollout(stores)
    second = stores.rollouts.save(first, replace(first.rollout, revision=1))

    with pytest.raises(LostRaceError):
        stores.rollouts.save(
            first, replace(first.rollout, revision=2), [make_block(0)], [make_event(0)]
        )

    assert stores.rollouts.get(ROLLOUT_ID) == replace(second, blocks={})
    assert stores.rollouts.list_device_ids(second) == ["a", "b", "c"]
    assert stores.rollouts.list_events(second, 10, None).items == []


def test_a_saved_block_is_in_the_snapshot_and_in_the_store() -> None:
    stores = MemoryStores()
    before = stores.rollouts.get_blocks(add_rollout(stores), [0])
    changed = make_block(1, "c", state=DeviceState.COMPLETED)

    after = stores.rollouts.save(before, before.rollout, [changed])

    assert after.blocks[1] is changed
    assert before.version != after.version
    read = stores.rollouts.get(ROLLOUT_ID)
    assert read is not None
    assert read.blocks == {}
    assert stores.rollouts.get_blocks(read, [1]).blocks == {1: changed}


def test_blocks_are_found_by_the_states_in_them() -> None:
    stores = MemoryStores()
    add_rollout(stores)

    assert stores.rollouts.list_blocks_with(ROLLOUT_ID, [DeviceState.QUEUED]) == [0]
    assert stores.rollouts.list_blocks_with(
        ROLLOUT_ID, [DeviceState.QUEUED, DeviceState.FAILED]
    ) == [0, 1]
    assert stores.rollouts.list_blocks_with(ROLLOUT_ID, [DeviceState.SOAKING]) == []


def test_devices_are_listed_in_the_order_of_their_start_page_by_page() -> None:
    stores = MemoryStores()
    snapshot = add_rollout(stores)

    first = stores.rollouts.list_updates(snapshot, ALL_UPDATES, 2, None)
    second = stores.rollouts.list_updates(snapshot, ALL_UPDATES, 2, first.cursor)
    only_failed = UpdateFilter(state=DeviceState.FAILED)
    failed = stores.rollouts.list_updates(snapshot, only_failed, 1, None)

    assert [update.device_id for update in first.items] == ["a", "b"]
    assert [update.device_id for update in second.items] == ["c"]
    assert [update.device_id for update in failed.items] == ["c"]
    assert second.cursor is failed.cursor is None


@pytest.mark.parametrize("history", [True, False])
def test_a_device_is_found_with_and_without_history(history: bool) -> None:
    stores = MemoryStores()
    snapshot = stores.rollouts.add(make_rollout(), [make_block(0, "a"), make_block(1, "c")])
    if history:
        stores.targets.save_history(ROLLOUT_ID, {"a": 0, "c": 1})

    found = stores.rollouts.get_update(snapshot, "c")
    assert found is not None
    assert found.device_id == "c"
    assert stores.rollouts.get_update(snapshot, "unknown") is None


def test_the_history_of_a_device_begins_with_the_newest_rollout() -> None:
    stores = MemoryStores()
    for rollout_id in ("2-old", "1-new"):
        add_rollout(stores, rollout_id)
    stores.targets.save_history("0-never-stored", {"c": 1})

    first = stores.targets.list_history("c", 1, None)
    second = stores.targets.list_history("c", 1, first.cursor)

    assert [rollout.id for rollout, _ in (*first.items, *second.items)] == ["1-new", "2-old"]
    assert {update.device_id for _, update in first.items} == {"c"}
    assert second.cursor is None


def test_events_are_listed_oldest_first_spilled_ones_before_the_others() -> None:
    stores = MemoryStores()
    snapshot = add_rollout(stores)
    snapshot = stores.rollouts.save(
        snapshot, snapshot.rollout, older_events=[make_event(0), make_event(1)]
    )
    latest = (make_event(3), make_event(4))
    rollout = change(snapshot.rollout, events=latest)
    snapshot = stores.rollouts.save(snapshot, rollout, older_events=[make_event(2)])

    first = stores.rollouts.list_events(snapshot, 2, None)
    second = stores.rollouts.list_events(snapshot, 9, first.cursor)

    assert [event.at for event in (*first.items, *second.items)] == [at(n) for n in range(5)]
    assert second.cursor is None


def test_rollouts_are_listed_newest_first_and_closed_when_they_are_over() -> None:
    stores = MemoryStores()
    for rollout_id in ("2", "3", "1"):
        stores.rollouts.add(make_rollout(rollout_id))
    read = stores.rollouts.get("2")
    assert read is not None
    stores.rollouts.save(read, make_rollout("2", RolloutStatus.COMPLETED, ended_at=at(9)))

    page = stores.rollouts.list_rollouts(None, 2, None)
    assert [rollout.id for rollout in page.items] == ["1", "2"]
    assert [
        rollout.id for rollout in stores.rollouts.list_rollouts(None, 2, page.cursor).items
    ] == ["3"]
    running = stores.rollouts.list_rollouts(RolloutStatus.RUNNING, 9, None).items
    assert [rollout.id for rollout in running] == stores.rollouts.list_open_ids() == ["1", "3"]


@pytest.mark.parametrize("cursor", ["", "x", "updates:", "updates:x", "updates:-1", "history:1"])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    stores = MemoryStores()
    snapshot = add_rollout(stores)

    with pytest.raises(CursorError):
        stores.rollouts.list_updates(snapshot, ALL_UPDATES, 1, cursor)
    with pytest.raises(CursorError):
        stores.rollouts.list_rollouts(None, 1, cursor)
    with pytest.raises(CursorError):
        stores.rollouts.list_events(snapshot, 1, cursor)


def test_a_part_of_a_target_that_comes_again_replaces_the_first() -> None:
    stores = MemoryStores()
    for number, name in ((0, "a"), (1, "lost"), (1, "b"), (2, "c")):
        stores.targets.save_part(ROLLOUT_ID, number, [TargetDevice(name)])

    assert [device.device_id for device in stores.targets.get_parts(ROLLOUT_ID, 0, 2)] == ["a", "b"]
