"""Test what the table keeps of a removed rollout, and what its lists cost."""

from collections import Counter
from contextlib import suppress
from datetime import timedelta
from itertools import islice, zip_longest
from typing import Any, cast

import pytest
from azure.data.tables import TableClient, TableServiceClient

from functions.errors import LostRaceError
from functions.rollout_store.ports.idempotency_keys import KeyUse
from functions.rollout_store.ports.retention import EndedRollout
from functions.rollout_store.ports.rollout_ids import new_rollout_id
from functions.rollout_store.ports.stores import Stores
from functions.rollout_store.table_storage import history_rows, keys, list_rows
from functions.rollout_store.table_storage.stores import TableStores, open_table_stores
from functions.rollout_store.table_storage.table import MAX_ROWS_PER_TRANSACTION, Table
from functions.rollouts.model.target import TargetDevice
from tests.functions.builders import at, change
from tests.functions.rollout_store.records import MANY, add_rollout, end, read, rollout_with

LATER = at(10**6)


def remove(stores: Stores) -> None:
    """Remove all rollouts that have ended."""
    for ended in stores.retention.list_work(LATER).expired:
        list(stores.retention.remove(ended, stores.rollouts.get(ended.id)))


@pytest.mark.parametrize("ahead", [0, 1, 2, 3, 99])
def test_two_apps_at_one_removal_leave_nothing_and_touch_no_other_rollout(
    stores: Stores, ahead: int
) -> None:
    """The first app is `ahead` steps ahead; both have read the rollout before."""
    snapshot = add_rollout(stores, "a", "b")
    kept = add_rollout(stores, "a", "b", seconds=1)
    stores.rollouts.save(snapshot, end(snapshot.rollout))
    (ended,) = stores.retention.list_work(LATER).expired
    both = [stores.retention.remove(ended, stores.rollouts.get(ended.id)) for _ in range(2)]
    list(islice(both[0], ahead))
    with suppress(LostRaceError):  # the other app has removed the record
        for _ in zip_longest(both[1], both[0]):
            pass
    list(both[0])
    remove(stores)
    assert stores.rollouts.get(ended.id) is None
    assert stores.targets.get_block_numbers(ended.id) == {}
    assert [item.id for item in stores.rollouts.list_rollouts(None, 9, None).items] == [
        kept.rollout.id
    ]
    assert len(read(stores, kept.rollout.id).blocks[0].updates) == 2
    assert stores.targets.get_block_numbers(kept.rollout.id) == {"a": 0, "b": 0}
    assert not stores.retention.list_work(LATER).expired


def test_an_ended_rollout_is_listed_later_or_forgotten(stores: Stores) -> None:
    snapshot = add_rollout(stores, "a")
    stores.rollouts.save(snapshot, end(snapshot.rollout))
    (ended,) = stores.retention.list_work(LATER).expired
    stores.retention.postpone(ended, at(5_000))
    assert not stores.retention.list_work(at(4_999)).expired
    (listed,) = stores.retention.list_work(at(5_001)).expired
    assert listed.id == snapshot.rollout.id
    stores.retention.forget(listed)
    assert not stores.retention.list_work(LATER).expired
    assert stores.rollouts.get(snapshot.rollout.id) is not None


def test_only_a_creation_that_crashed_long_ago_is_abandoned(stores: Stores) -> None:
    rollout, _ = rollout_with("a")
    stores.rollouts.announce(rollout)
    stores.retention.abandon(rollout.id, at(0))  # announced at that time, not before
    assert stores.rollouts.list_open_ids() == [rollout.id]
    stores.retention.abandon(rollout.id, at(1))
    assert stores.rollouts.list_open_ids() == []
    stores.retention.abandon(rollout.id, at(1))  # by another app
    remove(stores)
    assert not stores.retention.list_work(LATER).expired


@pytest.mark.parametrize("device_ids", [("a", "b"), MANY])
def test_nothing_is_left_of_a_removed_rollout(stores: Stores, device_ids: tuple[str, ...]) -> None:
    snapshot = add_rollout(stores, *device_ids)
    rollout_id = snapshot.rollout.id
    stores.targets.save_history(rollout_id, dict.fromkeys(device_ids, 0))
    stores.targets.save_part(rollout_id, 0, [TargetDevice("a")])
    kept = add_rollout(stores, "a", seconds=1).rollout.id
    stores.rollouts.save(snapshot, end(snapshot.rollout))
    remove(stores)
    assert stores.rollouts.get(rollout_id) is None
    assert [item.id for item in stores.rollouts.list_rollouts(None, 9, None).items] == [kept]
    assert stores.targets.get_block_numbers(rollout_id) == {}
    assert not stores.targets.get_parts(rollout_id, 0, 9)
    work = stores.retention.list_work(LATER)
    assert (list(work.open_ids), list(work.expired)) == ([kept], [])


@pytest.mark.parametrize("device_ids", [("a", "b"), MANY])
def test_a_removal_that_is_stopped_at_each_step_ends(
    stores: Stores, device_ids: tuple[str, ...]
) -> None:
    snapshot = add_rollout(stores, *device_ids)
    rollout_id = snapshot.rollout.id
    stores.targets.save_history(rollout_id, dict.fromkeys(device_ids, 0))
    stores.rollouts.save(snapshot, end(snapshot.rollout))
    for _ in range(100):
        for ended in stores.retention.list_work(LATER).expired:
            next(stores.retention.remove(ended, stores.rollouts.get(ended.id)), None)
    assert not stores.retention.list_work(LATER).expired
    assert stores.targets.get_block_numbers(rollout_id) == {}


def test_the_idempotency_key_goes_too_unless_another_rollout_has_it(stores: Stores) -> None:
    snapshot = add_rollout(stores, "a")
    hashed = keys.idempotency_row("k")
    use = KeyUse(rollout_id=snapshot.rollout.id, body_hash="b", used_at=at(0))
    stores.keys.add("k", use)
    ended = change(end(snapshot.rollout), key_hash=hashed)
    stores.rollouts.save(snapshot, ended)
    remove(stores)
    assert stores.keys.get("k") is None


def test_a_rollout_that_an_earlier_release_closed_is_found_and_moved(storage: str) -> None:
    stores = open_table_stores(storage, None)
    snapshot = add_rollout(stores, "a")
    rollout_id = stores.rollouts.save(snapshot, end(snapshot.rollout)).rollout.id
    service = TableServiceClient.from_connection_string(storage)
    table = service.get_table_client(keys.TABLE)
    row = list_rows.list_entry_to_row(end(snapshot.rollout))
    earlier = {**row, "PartitionKey": keys.ROLLOUTS, "open": False}
    for entity in list(table.list_entities()):
        if rollout_id in entity["RowKey"]:
            table.delete_entity(entity)
    table.upsert_entity(earlier)
    assert rollout_id in stores.retention.list_work(None).misplaced_ids
    assert rollout_id not in stores.rollouts.list_open_ids()
    assert rollout_id in [item.id for item in stores.rollouts.list_rollouts(None, 100, None).items]
    found = stores.rollouts.get(rollout_id)
    assert found is not None
    stores.rollouts.save(found, found.rollout)
    assert rollout_id not in stores.retention.list_work(None).misplaced_ids
    assert rollout_id in [item.id for item in stores.rollouts.list_rollouts(None, 100, None).items]


def counted_table(storage: str) -> tuple[Table, "CountedRequests"]:
    open_table_stores(storage, None)
    service = TableServiceClient.from_connection_string(storage)
    client = CountedRequests(service.get_table_client(keys.TABLE))
    return Table(cast("TableClient", client)), client


class CountedRequests:
    """Count the requests to the table service by kind, and the rows that queries return."""

    def __init__(self, client: TableClient) -> None:
        self._client = client
        self.calls: Counter[str] = Counter()
        self.rows_read = 0

    def query_entities(self, *arguments: Any, **more: Any) -> Any:
        self.calls["query_entities"] += 1
        for row in self._client.query_entities(*arguments, **more):
            self.rows_read += 1
            yield row

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any, **more: Any) -> Any:
            self.calls[name] += 1
            return method(*arguments, **more)

        return call


def test_lists_take_as_many_requests_with_many_ended_rollouts(storage: str) -> None:
    table, client = counted_table(storage)
    stores = TableStores(table)
    snapshot = add_rollout(stores, "a")
    stores.rollouts.save(snapshot, end(snapshot.rollout))
    costs = []
    for count in (10, 3_000):
        rows = [
            list_rows.end_to_row(f"{number:014d}-{0:012x}", at(0) + timedelta(seconds=number))
            for number in range(count)
        ]
        table.put(rows)
        client.calls.clear()
        stores.retention.list_work(at(-1))
        stores.rollouts.list_open_ids()
        stores.rollouts.list_rollouts(None, 2, None)
        stores.rollouts.list_ended_ids(at(5_000))
        costs.append(dict(client.calls))
    assert costs[0] == costs[1]


def test_a_devices_history_takes_as_many_requests_with_many_rollouts(storage: str) -> None:
    """Those of other devices in the same partition, and those of its own behind the page."""
    table, client = counted_table(storage)
    stores = TableStores(table)
    device_id = "history-cost"
    own = [add_rollout(stores, device_id, seconds=n).rollout.id for n in range(3)]
    same_bucket = keys.history_bucket(device_id)
    others = [f"o-{n}" for n in range(400) if keys.history_bucket(f"o-{n}") == same_bucket]
    costs = []
    for count in (10, 300):
        rows = [
            row
            for number in range(count)
            for rows in history_rows.history_to_rows(
                new_rollout_id(at(100 + number)), {others[number % len(others)]: 0}
            )
            for row in rows
        ]
        table.put(rows)
        client.calls.clear()
        client.rows_read = 0
        page = stores.targets.list_history(device_id, 2, None)
        assert [rollout.id for rollout, _ in page.items] == [own[2], own[1]]
        costs.append((dict(client.calls), client.rows_read))
    assert costs[0] == costs[1]


def test_nothing_is_left_of_the_history_of_a_removed_rollout(storage: str) -> None:
    table, _ = counted_table(storage)
    stores = TableStores(table)
    snapshot = add_rollout(stores, "removed-1", "removed-2")
    bucket = keys.history_bucket("removed-1")
    joined = next(f"j-{n}" for n in range(999) if keys.history_bucket(f"j-{n}") == bucket)
    stores.targets.add_history(snapshot.rollout.id, {joined: 0})
    ended = EndedRollout(snapshot.rollout.id, keys.end_row(at(0), snapshot.rollout.id), "")
    list(stores.retention.remove(ended, snapshot))
    left = [
        row.values["RowKey"]
        for bucket in range(keys.HISTORY_BUCKETS)
        for row in table.query(
            "PartitionKey eq @partition", {"partition": keys.history_partition(bucket)}
        )
    ]
    assert not [key for key in left if snapshot.rollout.id in key]


def test_history_of_large_rollouts_and_of_an_earlier_release_is_listed_in_order(
    storage: str,
) -> None:
    """An earlier release wrote no rows by device, as for large rollouts now."""
    table, _ = counted_table(storage)
    stores = TableStores(table)
    created = [add_rollout(stores, "mixed", seconds=number).rollout.id for number in range(5)]
    for rollout_id in created[1::2]:
        _store_as_earlier(table, rollout_id, "mixed")
    pages, cursor = list[str](), None
    while True:
        page = stores.targets.list_history("mixed", 1, cursor)
        pages += [rollout.id for rollout, _ in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    assert pages == created[::-1]
    assert set(stores.targets.find_later(created[0], ["mixed"])) == set(created[1:])
    assert stores.targets.get_block_numbers(created[1]) == {"mixed": 0}


def _store_as_earlier(table: Table, rollout_id: str, device_id: str) -> None:
    partition = keys.history_partition(keys.history_bucket(device_id))
    own, by_device = (
        keys.small_history_row(rollout_id, 0),
        keys.device_history_row(device_id, rollout_id),
    )
    stored = table.get(partition, own)
    assert stored is not None
    row = {"PartitionKey": partition, "RowKey": keys.history_row(rollout_id, 0)}
    table.put([{**stored.values, **row}])
    table.delete_all(partition, [own, by_device])


def test_a_rollout_of_many_devices_has_no_rows_by_device() -> None:
    """They would take as many transactions as its blocks."""
    least = history_rows.MAX_SMALL_DEVICES
    ids = [f"d-{number}" for number in range(least + 1)]
    small = history_rows.history_to_rows("98204585790876-33f54ea28ab6", dict.fromkeys(ids[:-1], 0))
    large = history_rows.history_to_rows("98204585790876-33f54ea28ab6", dict.fromkeys(ids, 0))
    assert len(small) == len(large) == keys.HISTORY_BUCKETS
    assert sum(map(len, small)) == least + keys.HISTORY_BUCKETS
    assert sum(map(len, large)) == keys.HISTORY_BUCKETS
    assert max(map(len, small)) <= MAX_ROWS_PER_TRANSACTION
