"""One set of promises, kept by the store on Azurite and by the one in memory alike."""

from dataclasses import replace
from datetime import timedelta

import pytest

from functions.errors import LostRaceError
from functions.rollout_store import keys
from functions.rollout_store.port import CursorError, Hold, KeyUse, RolloutStore, Snapshot, Stored
from functions.rollouts.device_update import DeviceState
from functions.rollouts.pacing import Pace
from functions.rollouts.rollout import Block, Event, Firmware, Rollout, RolloutStatus
from functions.rollouts.start_order import Member
from tests.functions.builders import NOON, at
from tests.functions.rollout_store.records import full_rollout, full_update, over, rollout_with

ODD_IDS = ("a#b", "a?b", "a%2Fb", "a'b", "a=b", "A", "a", "a:b", "x" * 128, "a%b", "=23", "a=23b")
MANY = tuple(f"device-{number:04d}" for number in range(250))


def stored(store: RolloutStore, *device_ids: str, seconds: float = 0) -> Snapshot:
    rollout, blocks = rollout_with(*device_ids, seconds=seconds)
    places = {update.device_id: block.number for block in blocks for update in block.updates}
    store.add_history(rollout.id, places)
    return store.add_rollout(rollout, blocks)


def read(store: RolloutStore, rollout_id: str) -> Snapshot:
    found = store.snapshot(rollout_id)
    assert found is not None
    return store.with_blocks(found, range(len(found.rollout.marks)))


def changed(snapshot: Snapshot, number: int, state: DeviceState) -> Block:
    """The block with its first device in another state."""
    first, *others = snapshot.blocks[number].updates
    return Block(number, (first._replace(state=state), *others))


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


def test_device_ids_of_any_legal_form_are_told_apart(store: RolloutStore) -> None:
    snapshot = stored(store, *ODD_IDS, *MANY)
    for device_id in (*ODD_IDS, MANY[-1]):
        found = store.find(snapshot, device_id)
        assert found is not None
        assert found.device_id == device_id
        history = store.history(device_id, 10, None)
        assert [update.device_id for _, update in history.items] == [device_id]
    assert store.find(snapshot, "ghost") is None
    assert store.history("ghost", 10, None).items == []


def test_rollouts_are_listed_newest_first_page_by_page(store: RolloutStore) -> None:
    created = [stored(store, "a", seconds=n).rollout.id for n in range(5)]
    first = store.rollouts(None, 2, None)
    second = store.rollouts(None, 2, first.cursor)
    third = store.rollouts(None, 2, second.cursor)
    pages = [[item.id for item in page.items] for page in (first, second, third)]
    assert pages == [created[:2:-1], created[2:0:-1], created[:1]]
    assert third.cursor is None


def test_a_page_that_is_just_full_is_the_last(store: RolloutStore) -> None:
    stored(store, "a")
    stored(store, "a", seconds=1)
    assert store.rollouts(None, 2, None).cursor is None


def test_a_rollout_is_open_until_it_is_over_and_again_when_it_is_reopened(
    store: RolloutStore,
) -> None:
    snapshot = stored(store, "a")
    other = stored(store, "a", seconds=1)
    both = [other.rollout.id, snapshot.rollout.id]
    assert store.open_rollout_ids() == both
    closed = store.save(snapshot, over(snapshot.rollout))
    assert store.open_rollout_ids() == [other.rollout.id]
    store.save(closed, snapshot.rollout)
    assert store.open_rollout_ids() == both


def test_rollouts_are_listed_by_status_also_those_that_are_open(store: RolloutStore) -> None:
    def with_status(status: RolloutStatus, seconds: float) -> Rollout:
        snapshot = stored(store, "a", seconds=seconds)
        return store.save(snapshot, replace(snapshot.rollout, status=status)).rollout

    for number in range(3):
        with_status(RolloutStatus.RUNNING, number)
    paused = [with_status(RolloutStatus.PAUSED, 10 + number).id for number in range(3)]
    done = stored(store, "a", seconds=20)
    store.save(done, over(done.rollout))
    first = store.rollouts(RolloutStatus.PAUSED, 2, None)
    second = store.rollouts(RolloutStatus.PAUSED, 2, first.cursor)
    assert [item.id for item in first.items] == paused[:0:-1]
    assert [item.id for item in second.items] == paused[:1]
    completed = store.rollouts(RolloutStatus.COMPLETED, 10, None)
    assert [item.id for item in completed.items] == [done.rollout.id]


@pytest.mark.parametrize("device_ids", [("a", "b"), MANY])
def test_device_updates_are_listed_in_the_order_of_the_start_and_by_state(
    store: RolloutStore, device_ids: tuple[str, ...]
) -> None:
    snapshot = read(store, stored(store, *device_ids).rollout.id)
    last = max(snapshot.blocks)
    failed = changed(snapshot, last, DeviceState.FAILED)
    snapshot = store.save(snapshot, snapshot.rollout, [failed])
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = store.updates_page(snapshot, None, 60, cursor)
        seen += [update.device_id for update in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == list(device_ids)
    only = store.updates_page(snapshot, DeviceState.FAILED, 10, None)
    assert [update.device_id for update in only.items] == [failed.updates[0].device_id]
    assert store.blocks_with(snapshot.rollout.id, [DeviceState.FAILED]) == [last]
    assert store.blocks_with(snapshot.rollout.id, [DeviceState.SOAKING]) == []


def test_events_are_listed_oldest_first_also_those_that_the_rollout_gave_away(
    store: RolloutStore,
) -> None:
    events = [Event(at=at(n), action=f"a{n}", by="ada", message="") for n in range(70)]
    snapshot = stored(store, "a")
    for given_away in (20, 40):
        kept = tuple(events[given_away : given_away + 30])
        rollout = replace(snapshot.rollout, events=kept, event_count=given_away + 30)
        snapshot = store.save(snapshot, rollout, (), events[given_away - 20 : given_away])
    seen: list[Event] = []
    cursor: str | None = None
    while True:
        page = store.events(snapshot, 25, cursor)
        seen += page.items
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == events


def test_a_devices_history_is_newest_first_and_pages(store: RolloutStore) -> None:
    created = [stored(store, "a", "ab", seconds=n).rollout.id for n in range(3)]
    stored(store, "b", seconds=9)
    first = store.history("a", 2, None)
    second = store.history("a", 2, first.cursor)
    assert [rollout.id for rollout, _ in first.items] == [created[2], created[1]]
    assert [rollout.id for rollout, _ in second.items] == [created[0]]
    assert second.cursor is None


def test_history_of_a_rollout_that_never_came_to_be_is_not_shown(store: RolloutStore) -> None:
    store.add_history(keys.new_rollout_id(NOON), {"orphan": 0})
    assert store.history("orphan", 10, None).items == []


def test_a_target_is_kept_in_parts_and_the_same_part_again_replaces_it(
    store: RolloutStore,
) -> None:
    rollout_id = keys.new_rollout_id(NOON)
    store.add_target_part(rollout_id, 0, [Member("a", "m/1"), Member("b")])
    store.add_target_part(rollout_id, 1, [Member("lost")])
    store.add_target_part(rollout_id, 1, [Member("c#?/\\")])
    assert store.target_parts(rollout_id, 0, 2) == [
        Member("a", "m/1"), Member("b"), Member("c#?/\\"),
    ]  # fmt: skip
    assert store.target_parts(rollout_id, 1, 2) == [Member("c#?/\\")]
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
    pace = Pace(at=NOON, starts=1.5, twin_reads=-2.0, queries=0.25, factor=0.5, messages=7.0)
    version = store.save_pace(pace, None)
    with pytest.raises(LostRaceError):
        store.save_pace(pace, None)
    found = store.pace()
    assert found == Stored(pace, version)
    store.save_pace(replace(pace, starts=0.0), version)
    with pytest.raises(LostRaceError):
        store.save_pace(pace, version)


def test_a_hold_is_taken_once_and_taken_over_from_the_holder_that_was_read(
    store: RolloutStore,
) -> None:
    hold = Hold(rollout_id="r", taken_at=NOON)
    assert store.hold("a#b") is None
    store.add_hold("a#b", hold)
    with pytest.raises(LostRaceError):
        store.add_hold("a#b", hold)
    held = store.hold("a#b")
    assert held is not None
    assert held.record == hold
    store.save_hold("a#b", Stored(replace(hold, rollout_id="s"), held.version))
    with pytest.raises(LostRaceError):
        store.save_hold("a#b", Stored(hold, held.version))


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


@pytest.mark.parametrize("cursor", ["x", "é", "%%%", "gAA="])
def test_a_foreign_cursor_is_refused(store: RolloutStore, cursor: str) -> None:
    snapshot = stored(store, "a")
    with pytest.raises(CursorError):
        store.updates_page(snapshot, None, 2, cursor)
    with pytest.raises(CursorError):
        store.events(snapshot, 2, cursor)
