"""Test that rows of a newer release are left alone, on Azurite."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from azure.data.tables import TableClient

from functions import version
from functions.errors import NewerSchemaError
from functions.rollout_store.ports.device_locks import DeviceLock
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollout_store.ports.stores import Stores
from functions.rollout_store.ports.update_filter import ALL_UPDATES
from functions.rollout_store.table_storage import keys
from functions.rollout_store.table_storage.stores import open_table_stores
from functions.rollout_store.table_storage.table import check_row, stamp
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.quotas import Budget
from functions.rollouts.model.rollout import Rollout
from tests.functions.builders import NOON
from tests.functions.rollout_store.records import rollout_with

FAR_AHEAD = 1_000_000_000

type Call = Callable[[Stores, Rollout], object]


def rows_of(storage: str) -> list[dict[str, Any]]:
    client = TableClient.from_connection_string(storage, keys.TABLE)
    return sorted(map(dict, client.list_entities()), key=str)


@dataclass(frozen=True)
class Newer:
    """A rollout that a release has stored whose format has the next number."""

    stores: Stores  # as this release opens them
    snapshot: Snapshot
    read_rows: Callable[[], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def newer(storage: str) -> Iterator[Newer]:
    devices = (f"d-{number}" for number in range(101))
    rollout, blocks = rollout_with(*devices, seconds=FAR_AHEAD)  # first in the list
    stores = open_table_stores(storage, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(version, "SCHEMA_VERSION", version.SCHEMA_VERSION + 1)
        snapshot = stores.rollouts.add(rollout, blocks)
        stores.locks.add("d-1", DeviceLock(rollout_id=rollout.id, taken_at=NOON))
    yield Newer(stores, snapshot, lambda: rows_of(storage))
    # Other tests use the same table.
    client = TableClient.from_connection_string(storage, keys.TABLE)
    for row in list(client.list_entities(select=["PartitionKey", "RowKey"])):
        client.delete_entity(row)


CALLS: dict[str, Call] = {
    "get": lambda stores, rollout: stores.rollouts.get(rollout.id),
    "status": lambda stores, rollout: stores.rollouts.get_status(rollout.id),
    "revision": lambda stores, rollout: stores.rollouts.get_revision(rollout.id),
    "list": lambda stores, _: stores.rollouts.list_rollouts(None, 10, None),
    "lock": lambda stores, _: stores.locks.get("d-1"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_row_of_a_newer_release_is_refused_and_stays_as_it_is(name: str, newer: Newer) -> None:
    before = newer.read_rows()
    with pytest.raises(NewerSchemaError, match=f"schema {version.SCHEMA_VERSION + 1}") as caught:
        CALLS[name](newer.stores, newer.snapshot.rollout)
    assert version.APP_VERSION in str(caught.value)
    assert newer.read_rows() == before


def test_blocks_of_a_newer_release_are_refused(newer: Newer) -> None:
    snapshot = replace(newer.snapshot, blocks={})
    with pytest.raises(NewerSchemaError):
        newer.stores.rollouts.get_blocks(snapshot, [1])
    with pytest.raises(NewerSchemaError):
        newer.stores.rollouts.list_updates(snapshot, ALL_UPDATES, 10, None)


def test_keys_of_a_newer_release_are_read(newer: Newer) -> None:
    rollouts, rollout_id = newer.stores.rollouts, newer.snapshot.rollout.id
    assert rollout_id in rollouts.list_open_ids()
    assert list(rollouts.list_blocks_with(rollout_id, [DeviceState.QUEUED])) == [0, 1]


def test_every_row_of_this_release_has_the_number_of_its_format(storage: str) -> None:
    stores = open_table_stores(storage, None)
    devices = (f"d-{number}" for number in range(101))
    rollout, blocks = rollout_with(*devices, seconds=FAR_AHEAD)  # first in the list
    snapshot = stores.rollouts.add(rollout, blocks)
    ended = replace(rollout, revision=1, ended_at=NOON)
    stores.rollouts.save(snapshot, ended, blocks[:1])
    stored = stores.budget.get()
    stores.budget.save(Budget(at=NOON), stored.version if stored else None)
    found = [row for row in rows_of(storage) if rollout.id in str(row) or "budget" in str(row)]
    assert len(found) >= 4
    assert {row.get(version.SCHEMA) for row in found} == {version.SCHEMA_VERSION}


def test_a_row_without_a_number_is_of_an_earlier_release() -> None:
    check_row({"PartitionKey": "p", "RowKey": "r"})
    check_row(stamp({"PartitionKey": "p", "RowKey": "r"}))
