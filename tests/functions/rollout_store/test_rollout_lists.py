"""Test what the lists of rollouts on Azurite and in memory have in common."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import pytest

from functions.rollout_store.ports.records import CursorError, Page
from functions.rollout_store.ports.stores import Stores
from functions.rollout_store.ports.update_filter import ALL_UPDATES, UpdateFilter
from functions.rollout_store.table_storage import rollout_lists
from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from tests.functions.builders import at, change, make_wave
from tests.functions.rollout_store.records import (
    MANY,
    add_rollout,
    end,
    read,
    rollout_with,
    with_first_state,
)


def read_pages[T](page_at: Callable[[str | None], Page[T]]) -> list[Sequence[T]]:
    """Return all pages of a list, in order."""
    pages: list[Sequence[T]] = []
    cursor: str | None = None
    while True:
        page = page_at(cursor)
        pages.append(page.items)
        cursor = page.cursor
        if cursor is None:
            return pages


def test_rollouts_are_listed_newest_first_in_pages(stores: Stores) -> None:
    created = [add_rollout(stores, "a", seconds=n).rollout.id for n in range(5)]
    first = stores.rollouts.list_rollouts(None, 2, None)
    second = stores.rollouts.list_rollouts(None, 2, first.cursor)
    third = stores.rollouts.list_rollouts(None, 2, second.cursor)
    pages = [[item.id for item in page.items] for page in (first, second, third)]
    assert pages == [created[:2:-1], created[2:0:-1], created[:1]]
    assert third.cursor is None


def test_a_full_page_may_be_the_last(stores: Stores) -> None:
    add_rollout(stores, "a")
    add_rollout(stores, "a", seconds=1)
    assert stores.rollouts.list_rollouts(None, 2, None).cursor is None


def test_a_rollout_is_open_until_it_is_over_and_after_it_is_reopened(
    stores: Stores,
) -> None:
    snapshot = add_rollout(stores, "a")
    other = add_rollout(stores, "a", seconds=1)
    both = [other.rollout.id, snapshot.rollout.id]
    assert stores.rollouts.list_open_ids() == both
    closed = stores.rollouts.save(snapshot, end(snapshot.rollout))
    assert stores.rollouts.list_open_ids() == [other.rollout.id]
    stores.rollouts.save(closed, snapshot.rollout)
    assert stores.rollouts.list_open_ids() == both


def test_open_rollouts_are_listed_by_status_too(stores: Stores) -> None:
    def with_status(status: RolloutStatus, seconds: float) -> Rollout:
        snapshot = add_rollout(stores, "a", seconds=seconds)
        return stores.rollouts.save(snapshot, replace(snapshot.rollout, status=status)).rollout

    for number in range(3):
        with_status(RolloutStatus.RUNNING, number)
    paused = [with_status(RolloutStatus.PAUSED, 10 + number).id for number in range(3)]
    done = add_rollout(stores, "a", seconds=20)
    stores.rollouts.save(done, end(done.rollout))
    first = stores.rollouts.list_rollouts(RolloutStatus.PAUSED, 2, None)
    second = stores.rollouts.list_rollouts(RolloutStatus.PAUSED, 2, first.cursor)
    assert [item.id for item in first.items] == paused[:0:-1]
    assert [item.id for item in second.items] == paused[:1]
    completed = stores.rollouts.list_rollouts(RolloutStatus.COMPLETED, 10, None)
    assert [item.id for item in completed.items] == [done.rollout.id]


@pytest.mark.parametrize("device_ids", [("a", "b"), MANY])
def test_device_updates_are_listed_in_start_order_and_by_state(
    stores: Stores, device_ids: tuple[str, ...]
) -> None:
    snapshot = read(stores, add_rollout(stores, *device_ids).rollout.id)
    last = max(snapshot.blocks)
    failed = with_first_state(snapshot, last, DeviceState.FAILED)
    snapshot = stores.rollouts.save(snapshot, snapshot.rollout, [failed])
    pages = read_pages(
        lambda cursor: stores.rollouts.list_updates(snapshot, ALL_UPDATES, 60, cursor)
    )
    assert [update.device_id for page in pages for update in page] == list(device_ids)
    assert all(len(page) == 60 for page in pages[:-1])
    only = stores.rollouts.list_updates(snapshot, UpdateFilter(state=DeviceState.FAILED), 10, None)
    assert [update.device_id for update in only.items] == [failed.updates[0].device_id]
    assert stores.rollouts.list_blocks_with(snapshot.rollout.id, [DeviceState.FAILED]) == [last]
    assert stores.rollouts.list_blocks_with(snapshot.rollout.id, [DeviceState.SOAKING]) == []


def test_events_are_listed_oldest_first_with_older_events(
    stores: Stores,
) -> None:
    events = [Event(at=at(n), action=f"a{n}", by="ada", message="") for n in range(70)]
    snapshot = add_rollout(stores, "a")
    for first in (20, 40):
        kept = tuple(events[first : first + 30])
        rollout = change(snapshot.rollout, events=kept, event_count=first + 30)
        snapshot = stores.rollouts.save(snapshot, rollout, (), events[first - 20 : first])
    for limit in (1, 25, 35, 70, 100):
        pages = read_pages(partial(stores.rollouts.list_events, snapshot, limit))
        assert [event for page in pages for event in page] == events


def test_a_list_by_state_continues_in_later_blocks(stores: Stores) -> None:
    snapshot = read(stores, add_rollout(stores, *MANY).rollout.id)
    failed = [with_first_state(snapshot, number, DeviceState.FAILED) for number in (0, 2)]
    snapshot = stores.rollouts.save(snapshot, snapshot.rollout, failed)
    pages = read_pages(
        lambda cursor: stores.rollouts.list_updates(
            snapshot, UpdateFilter(state=DeviceState.FAILED), 1, cursor
        )
    )
    assert [[update.device_id for update in page] for page in pages] == [[MANY[0]], [MANY[200]]]
    assert stores.rollouts.list_updates(
        snapshot, UpdateFilter(state=DeviceState.SOAKING), 1, None
    ) == Page([], None)
    assert stores.rollouts.list_blocks_with(snapshot.rollout.id, [DeviceState.FAILED]) == [0, 2]
    both = [DeviceState.FAILED, DeviceState.QUEUED]
    assert stores.rollouts.list_blocks_with(snapshot.rollout.id, both) == [0, 1, 2]


@pytest.mark.parametrize("count", [1, 99, 100, 101, 200])
def test_full_and_partial_blocks_are_read(stores: Stores, count: int) -> None:
    ids = MANY[:count]
    snapshot = read(stores, add_rollout(stores, *ids).rollout.id)
    assert stores.rollouts.list_device_ids(snapshot) == list(ids)
    assert sorted(snapshot.blocks) == list(range(len(snapshot.rollout.block_summaries)))
    last = stores.rollouts.get_update(snapshot, ids[-1])
    assert last is not None
    assert last.device_id == ids[-1]


def test_a_rollout_without_stored_blocks_has_no_devices(stores: Stores) -> None:
    rollout, blocks = rollout_with(*MANY)
    bare = stores.rollouts.add(replace(rollout, block_summaries=()))
    assert stores.rollouts.list_device_ids(bare) == []
    assert stores.rollouts.list_updates(bare, ALL_UPDATES, 10, None) == Page([], None)
    assert stores.rollouts.list_blocks_with(rollout.id, list(DeviceState)) == []
    assert stores.rollouts.get_blocks(bare, [0, 1]).blocks == {}
    half = stores.rollouts.save(bare, replace(rollout, block_summaries=()), blocks[:1])
    assert stores.rollouts.list_device_ids(half) == list(MANY[:100])


def test_ended_rollouts_are_found_after_many_open_ones(stores: Stores) -> None:
    ended = [add_rollout(stores, "a", seconds=number) for number in range(2)]
    for snapshot in ended:
        stores.rollouts.save(snapshot, end(snapshot.rollout))
    for number in range(5):
        add_rollout(stores, "a", seconds=10 + number)
    pages = read_pages(
        lambda cursor: stores.rollouts.list_rollouts(RolloutStatus.COMPLETED, 1, cursor)
    )
    found = [item.id for page in pages for item in page]
    assert found == [snapshot.rollout.id for snapshot in reversed(ended)]
    assert stores.rollouts.list_rollouts(RolloutStatus.CANCELLED, 1, None) == Page([], None)


def test_a_cancelled_rollout_is_open_until_it_is_over(stores: Stores) -> None:
    snapshot = add_rollout(stores, "a")
    cancelled = replace(snapshot.rollout, status=RolloutStatus.CANCELLED)
    snapshot = stores.rollouts.save(snapshot, cancelled)
    assert stores.rollouts.list_open_ids() == [cancelled.id]
    assert stores.rollouts.list_rollouts(RolloutStatus.CANCELLED, 9, None).items == [cancelled]
    ended = stores.rollouts.save(snapshot, end(cancelled, RolloutStatus.CANCELLED)).rollout
    assert stores.rollouts.list_open_ids() == []
    assert stores.rollouts.list_rollouts(RolloutStatus.CANCELLED, 9, None).items == [ended]


@pytest.mark.parametrize("cursor", ["", "x", "é", "%%%", "gAA=", "eA==", "Jw==", "AA=="])
def test_an_invalid_cursor_raises(stores: Stores, cursor: str) -> None:
    snapshot = add_rollout(stores, "a")
    with pytest.raises(CursorError):
        stores.rollouts.list_updates(snapshot, ALL_UPDATES, 2, cursor)
    with pytest.raises(CursorError):
        stores.rollouts.list_events(snapshot, 2, cursor)
    with pytest.raises(CursorError):
        stores.rollouts.list_rollouts(None, 2, cursor)
    with pytest.raises(CursorError):
        stores.targets.list_history("a", 2, cursor)


def test_a_cursor_is_valid_for_its_own_list_only(stores: Stores) -> None:
    snapshot = add_rollout(stores, "a")
    add_rollout(stores, "a", seconds=1)
    rollouts = stores.rollouts.list_rollouts(None, 1, None).cursor
    history = stores.targets.list_history("a", 1, None).cursor
    assert rollouts is not None
    assert history is not None
    with pytest.raises(CursorError):
        stores.rollouts.list_rollouts(None, 1, history)
    with pytest.raises(CursorError):
        stores.targets.list_history("a", 1, rollouts)
    with pytest.raises(CursorError):
        stores.rollouts.list_updates(snapshot, ALL_UPDATES, 1, rollouts)


def test_an_announced_rollout_is_listed_as_open_and_not_found(stores: Stores) -> None:
    rollout, blocks = rollout_with("a")
    stores.rollouts.announce(rollout)
    stores.rollouts.announce(rollout)
    assert stores.rollouts.list_open_ids() == [rollout.id]
    assert stores.rollouts.get(rollout.id) is None
    assert stores.rollouts.list_rollouts(None, 10, None).items == []
    stores.rollouts.add(rollout, blocks)
    assert stores.rollouts.list_open_ids() == [rollout.id]
    assert stores.rollouts.get(rollout.id) is not None


def test_later_rollouts_are_listed_though_they_ended_lately(stores: Stores) -> None:
    earlier, own, later = (add_rollout(stores, "a", seconds=n) for n in range(3))
    over = add_rollout(stores, "a", seconds=3)
    for snapshot in (over, earlier):
        stores.rollouts.save(snapshot, change(end(snapshot.rollout), ended_at=at(100)))
    assert stores.rollouts.list_open_ids() == [later.rollout.id, own.rollout.id]
    ids = stores.rollouts.list_later_ids(own.rollout.id, since=at(100))
    assert ids == [over.rollout.id, later.rollout.id]
    assert stores.rollouts.list_later_ids(own.rollout.id, since=at(101)) == [later.rollout.id]


def test_rollouts_that_ended_lately_are_listed(stores: Stores) -> None:
    add_rollout(stores, "a")
    ended: list[str] = []
    for seconds, ended_at in ((1, 100), (2, 200)):
        snapshot = add_rollout(stores, "a", seconds=seconds)
        stores.rollouts.save(snapshot, change(end(snapshot.rollout), ended_at=at(ended_at)))
        ended.insert(0, snapshot.rollout.id)
    stores.rollouts.announce(rollout_with("a", seconds=3)[0])
    assert stores.rollouts.list_ended_ids(at(0)) == ended
    assert stores.rollouts.list_ended_ids(at(100)) == ended
    assert stores.rollouts.list_ended_ids(at(100.001)) == ended[:1]
    assert stores.rollouts.list_ended_ids(at(201)) == []


def test_device_updates_are_listed_by_wave_and_error_code(stores: Stores) -> None:
    rollout, blocks = rollout_with(*MANY)
    halves = (make_wave(150), make_wave(len(MANY) - 150, first=150, name="rest"))
    snapshot = stores.rollouts.add(replace(rollout, waves=halves), blocks)
    snapshot = read(stores, rollout.id)
    error = Reason(code=ErrorCode.REPORTED, message="bad")
    failed = [
        block.apply(lambda item: item._replace(state=DeviceState.FAILED, error=error), [0, 40])
        for block in snapshot.blocks.values()
    ]
    snapshot = stores.rollouts.save(snapshot, snapshot.rollout, failed)
    chosen = UpdateFilter(error_code=ErrorCode.REPORTED, wave=1)
    pages = read_pages(partial(stores.rollouts.list_updates, snapshot, chosen, 1))
    assert [item.device_id for page in pages for item in page] == [MANY[200], MANY[240]]
    others = UpdateFilter(error_code=ErrorCode.TIMED_OUT)
    assert stores.rollouts.list_updates(snapshot, others, 10, None).items == []
    whole = stores.rollouts.list_updates(snapshot, UpdateFilter(wave=0), 1_000, None)
    assert [item.device_id for item in whole.items] == list(MANY[:150])


@pytest.mark.parametrize("stores", ["azurite"], indirect=True)
def test_a_page_of_rare_updates_reads_a_limited_number_of_blocks(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout_lists, "MAX_BLOCKS_PER_PAGE", 1)
    snapshot = read(stores, add_rollout(stores, *MANY).rollout.id)
    pages = read_pages(partial(stores.rollouts.list_updates, snapshot, ALL_UPDATES, 1_000))
    assert [len(page) for page in pages] == [100, 100, len(MANY) - 200]


def test_blocks_that_were_removed_meanwhile_are_left_out(stores: Stores) -> None:
    """Remove blocks between the read of the record and that of the devices."""
    rollout, blocks = rollout_with(*MANY)
    stores.rollouts.add(rollout, blocks[1:])
    snapshot = stores.rollouts.get(rollout.id)
    assert snapshot is not None
    found = stores.rollouts.list_updates(snapshot, ALL_UPDATES, 1_000, None)
    assert [item.device_id for item in found.items] == list(MANY[100:])
    assert stores.rollouts.get_blocks(snapshot, [0]).updates_of(0) == ()
