"""Test what the table keeps of a removed rollout, and what its lists cost."""

from collections import Counter
from datetime import timedelta
from typing import Any, cast

import pytest
from azure.data.tables import TableClient, TableServiceClient

from functions.rollout_store.ports.idempotency_keys import KeyUse
from functions.rollout_store.ports.stores import Stores
from functions.rollout_store.table_storage import keys, rollout_rows
from functions.rollout_store.table_storage.stores import TableStores, open_table_stores
from functions.rollout_store.table_storage.table import Table
from functions.rollouts.model.target import TargetDevice
from tests.functions.builders import at, change
from tests.functions.rollout_store.records import MANY, add_rollout, end

LATER = at(10**6)


def remove(stores: Stores) -> None:
    """Remove all rollouts that have ended."""
    for ended in stores.retention.list_work(LATER).expired:
        list(stores.retention.remove(ended, stores.rollouts.get(ended.id)))


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
    row = rollout_rows.list_entry_to_row(end(snapshot.rollout))
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


class CountedRequests:
    """Count the requests to the table service by kind."""

    def __init__(self, client: TableClient) -> None:
        self._client = client
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any, **more: Any) -> Any:
            self.calls[name] += 1
            return method(*arguments, **more)

        return call


def test_lists_take_as_many_requests_with_many_ended_rollouts(storage: str) -> None:
    open_table_stores(storage, None)
    service = TableServiceClient.from_connection_string(storage)
    client = CountedRequests(service.get_table_client(keys.TABLE))
    table = Table(cast("TableClient", client))
    stores = TableStores(table)
    snapshot = add_rollout(stores, "a")
    stores.rollouts.save(snapshot, end(snapshot.rollout))
    costs = []
    for count in (10, 3_000):
        rows = [
            rollout_rows.end_to_row(f"{number:014d}-{0:012x}", at(0) + timedelta(seconds=number))
            for number in range(count)
        ]
        table.put(rows)
        client.calls.clear()
        stores.retention.list_work(at(-1))
        stores.rollouts.list_open_ids()
        stores.rollouts.list_rollouts(None, 2, None)
        stores.rollouts.list_recent_ids(at(5_000))
        costs.append(dict(client.calls))
    assert costs[0] == costs[1]
