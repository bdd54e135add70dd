"""What the store in memory promises beyond the tests that it shares with Table Storage."""

from dataclasses import replace

import pytest

from functions.errors import LostRaceError
from functions.rollout_store.port import CursorError, Snapshot
from functions.rollouts.model.device_update import DeviceState
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.rollout.start_order import TargetDevice
from simulator.rehearsal.memory_store import MemoryStore
from tests.functions.builders import ROLLOUT_ID, at
from tests.simulator.rehearsal.builders import make_block, make_event, make_rollout


def stored(store: MemoryStore, rollout_id: str = ROLLOUT_ID) -> Snapshot:
    """A rollout with devices a and b in its first block, and c in the second."""
    blocks = [make_block(0, "a", "b"), make_block(1, "c", state=DeviceState.FAILED)]
    store.add_history(rollout_id, {"a": 0, "b": 0, "c": 1})
    return store.add_rollout(make_rollout(rollout_id), blocks)


def test_a_rollout_is_added_once() -> None:
    store = MemoryStore()
    stored(store)

    with pytest.raises(LostRaceError):
        stored(store)


def test_a_save_of_an_outdated_snapshot_changes_nothing() -> None:
    store = MemoryStore()
    first = stored(store)
    second = store.save(first, replace(first.rollout, revision=1))

    with pytest.raises(LostRaceError):
        store.save(first, replace(first.rollout, revision=2), [make_block(0)], [make_event(0)])

    assert store.snapshot(ROLLOUT_ID) == replace(second, blocks={})
    assert store.device_ids(second) == ["a", "b", "c"]
    assert store.events(second, 10, None).items == []


def test_a_saved_block_is_in_the_snapshot_and_in_the_store() -> None:
    store = MemoryStore()
    before = store.with_blocks(stored(store), [0])
    changed = make_block(1, "c", state=DeviceState.COMPLETED)

    after = store.save(before, before.rollout, [changed])

    assert after.blocks[1] is changed
    assert before.version != after.version
    read = store.snapshot(ROLLOUT_ID)
    assert read is not None
    assert read.blocks == {}
    assert store.with_blocks(read, [1]).blocks == {1: changed}


def test_blocks_are_found_by_the_states_in_them() -> None:
    store = MemoryStore()
    stored(store)

    assert store.blocks_with(ROLLOUT_ID, [DeviceState.QUEUED]) == [0]
    assert store.blocks_with(ROLLOUT_ID, [DeviceState.QUEUED, DeviceState.FAILED]) == [0, 1]
    assert store.blocks_with(ROLLOUT_ID, [DeviceState.SOAKING]) == []


def test_devices_are_listed_in_the_order_of_their_start_page_by_page() -> None:
    store = MemoryStore()
    snapshot = stored(store)

    first = store.updates_page(snapshot, None, 2, None)
    second = store.updates_page(snapshot, None, 2, first.cursor)
    failed = store.updates_page(snapshot, DeviceState.FAILED, 1, None)

    assert [update.device_id for update in first.items] == ["a", "b"]
    assert [update.device_id for update in second.items] == ["c"]
    assert [update.device_id for update in failed.items] == ["c"]
    assert second.cursor is failed.cursor is None


@pytest.mark.parametrize("history", [True, False])
def test_a_device_is_found_with_and_without_history(history: bool) -> None:
    store = MemoryStore()
    snapshot = store.add_rollout(make_rollout(), [make_block(0, "a"), make_block(1, "c")])
    if history:
        store.add_history(ROLLOUT_ID, {"a": 0, "c": 1})

    found = store.find(snapshot, "c")
    assert found is not None
    assert found.device_id == "c"
    assert store.find(snapshot, "nobody") is None


def test_the_history_of_a_device_begins_with_the_newest_rollout() -> None:
    store = MemoryStore()
    for rollout_id in ("2-old", "1-new"):
        stored(store, rollout_id)
    store.add_history("0-never-stored", {"c": 1})

    first = store.history("c", 1, None)
    second = store.history("c", 1, first.cursor)

    assert [rollout.id for rollout, _ in (*first.items, *second.items)] == ["1-new", "2-old"]
    assert {update.device_id for _, update in first.items} == {"c"}
    assert second.cursor is None


def test_events_are_listed_oldest_first_spilled_ones_before_the_others() -> None:
    store = MemoryStore()
    snapshot = stored(store)
    snapshot = store.save(snapshot, snapshot.rollout, spilled=[make_event(0), make_event(1)])
    latest = (make_event(3), make_event(4))
    rollout = replace(snapshot.rollout, events=latest)
    snapshot = store.save(snapshot, rollout, spilled=[make_event(2)])

    first = store.events(snapshot, 2, None)
    second = store.events(snapshot, 9, first.cursor)

    assert [event.at for event in (*first.items, *second.items)] == [at(n) for n in range(5)]
    assert second.cursor is None


def test_rollouts_are_listed_newest_first_and_closed_when_they_are_over() -> None:
    store = MemoryStore()
    for rollout_id in ("2", "3", "1"):
        store.add_rollout(make_rollout(rollout_id))
    read = store.snapshot("2")
    assert read is not None
    store.save(read, make_rollout("2", RolloutStatus.COMPLETED, ended_at=at(9)))

    page = store.rollouts(None, 2, None)
    assert [rollout.id for rollout in page.items] == ["1", "2"]
    assert [rollout.id for rollout in store.rollouts(None, 2, page.cursor).items] == ["3"]
    running = store.rollouts(RolloutStatus.RUNNING, 9, None).items
    assert [rollout.id for rollout in running] == store.open_rollout_ids() == ["1", "3"]


@pytest.mark.parametrize("cursor", ["", "x", "updates:", "updates:x", "updates:-1", "history:1"])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    store = MemoryStore()
    snapshot = stored(store)

    with pytest.raises(CursorError):
        store.updates_page(snapshot, None, 1, cursor)
    with pytest.raises(CursorError):
        store.rollouts(None, 1, cursor)
    with pytest.raises(CursorError):
        store.events(snapshot, 1, cursor)


def test_a_part_of_a_target_that_comes_again_replaces_the_first() -> None:
    store = MemoryStore()
    for number, name in ((0, "a"), (1, "lost"), (1, "b"), (2, "c")):
        store.add_target_part(ROLLOUT_ID, number, [TargetDevice(name)])

    assert [member.device_id for member in store.target_parts(ROLLOUT_ID, 0, 2)] == ["a", "b"]
