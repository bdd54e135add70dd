"""Test writes to Table Storage that are interrupted, repeated, or follow another request's."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from azure.data.tables import TableClient, TableServiceClient

from functions.errors import LostRaceError
from functions.rollout_store.table_storage import keys, list_rows
from functions.rollout_store.table_storage.stores import TableStores, open_table_stores
from functions.rollout_store.table_storage.table import Row, Table
from tests.functions.fragile import CrashError, Fragile
from tests.functions.rollout_store.records import end, rollout_with


def table(storage: str) -> TableClient:
    service = TableServiceClient.from_connection_string(storage)
    return service.get_table_client(keys.TABLE)


def open_fragile_stores(storage: str, at: int, *, after: bool) -> TableStores:
    """Return stores whose process crashes at call number `at` to the table."""
    return TableStores(Table(cast("TableClient", Fragile(table(storage), at=at, after=after))))


class Late(Table):
    """A table that runs another request right before it puts rows."""

    def __init__(self, client: TableClient, act: Callable[[], object]) -> None:
        super().__init__(client)
        self._act = act

    def put(self, rows: Sequence[Row]) -> None:
        act, self._act = self._act, lambda: None
        act()
        super().put(rows)


def test_a_rollout_that_is_reopened_during_a_close_stays_open(storage: str) -> None:
    stores = open_table_stores(storage, None)
    rollout, blocks = rollout_with("a")
    snapshot = stores.rollouts.add(rollout, blocks)

    def reopen() -> None:
        ended = stores.rollouts.get(rollout.id)
        assert ended is not None
        assert ended.rollout.is_over
        stores.rollouts.save(ended, rollout)

    TableStores(Late(table(storage), reopen)).rollouts.save(snapshot, end(rollout))
    assert rollout.id in stores.rollouts.list_open_ids()


def test_a_rollout_that_is_closed_during_a_reopening_stays_open(storage: str) -> None:
    stores = open_table_stores(storage, None)
    rollout, blocks = rollout_with("a")
    ended = stores.rollouts.save(stores.rollouts.add(rollout, blocks), end(rollout))

    class Slow(Table):
        def write(self, row: Row, version: str | None, others: Sequence[Row] = ()) -> str:
            self.put([list_rows.list_entry_to_row(end(rollout))])
            self.delete_all(keys.ROLLOUTS, [rollout.id])
            return super().write(row, version, others)

    TableStores(Slow(table(storage))).rollouts.save(ended, rollout)
    assert rollout.id in stores.rollouts.list_open_ids()


def test_after_a_crash_before_its_own_row_a_rollout_does_not_exist(storage: str) -> None:
    rollout, blocks = rollout_with("orphan")
    open_table_stores(storage, None)
    with pytest.raises(CrashError):
        open_fragile_stores(storage, 2, after=False).rollouts.add(rollout, blocks)
    fresh = open_table_stores(storage, None)
    assert fresh.rollouts.get(rollout.id) is None
    assert rollout.id not in [
        item.id for item in fresh.rollouts.list_rollouts(None, 100, None).items
    ]


def test_a_rollout_can_be_added_again_after_a_crash(storage: str) -> None:
    """Check what a rollback needs, because its id is chosen before."""
    rollout, blocks = rollout_with("again")
    stores = open_table_stores(storage, None)
    with pytest.raises(CrashError):
        open_fragile_stores(storage, 2, after=False).rollouts.add(rollout, blocks)
    stores.rollouts.add(rollout, blocks)
    found = stores.rollouts.get(rollout.id)
    assert found is not None
    assert found.rollout == rollout
    assert rollout.id in stores.rollouts.list_open_ids()
    with pytest.raises(LostRaceError):
        stores.rollouts.add(rollout, blocks)


class Repeating:
    """A table client that repeats each write, as the SDK does after a lost response.

    The service refuses the repeat.
    """

    def __init__(self, client: TableClient) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if name not in {"create_entity", "update_entity", "submit_transaction"}:
            return method

        def write(*arguments: Any, **more: Any) -> Any:
            method(*arguments, **more)
            return method(*arguments, **more)

        return write


@pytest.mark.parametrize("devices", [1, 250])
def test_a_write_that_the_sdk_repeats_does_not_lose_a_race(storage: str, devices: int) -> None:
    open_table_stores(storage, None)
    stores = TableStores(Table(cast("TableClient", Repeating(table(storage)))))
    rollout, blocks = rollout_with(*(f"d{n}" for n in range(devices)), seconds=devices)
    first = stores.rollouts.add(rollout, blocks)
    second = stores.rollouts.save(first, replace(rollout, revision=1), blocks[:1])
    stores.rollouts.save(second, replace(rollout, revision=2), blocks[:1])
    with pytest.raises(LostRaceError):
        stores.rollouts.save(first, replace(rollout, revision=3), blocks[:1])
    found = stores.rollouts.get(rollout.id)
    assert found is not None
    assert found.rollout.revision == 2


def test_after_a_crash_during_a_close_the_next_save_closes_the_rollout(
    storage: str,
) -> None:
    stores = open_table_stores(storage, None)
    rollout, blocks = rollout_with("a")
    snapshot = stores.rollouts.add(rollout, blocks)
    with pytest.raises(CrashError):
        open_fragile_stores(storage, 1, after=True).rollouts.save(snapshot, end(rollout))
    ended = stores.rollouts.get(rollout.id)
    assert ended is not None
    assert ended.rollout.is_over
    assert rollout.id in stores.rollouts.list_open_ids()
    stores.rollouts.save(ended, ended.rollout)
    assert rollout.id not in stores.rollouts.list_open_ids()


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("after", [False, True])
def test_after_a_crash_during_a_reopening_a_rollout_that_is_not_over_is_open(
    storage: str, at: int, after: bool
) -> None:
    stores = open_table_stores(storage, None)
    rollout, blocks = rollout_with("a")
    ended = stores.rollouts.save(stores.rollouts.add(rollout, blocks), end(rollout))
    with pytest.raises(CrashError):
        open_fragile_stores(storage, at, after=after).rollouts.save(ended, rollout)
    found = stores.rollouts.get(rollout.id)
    assert found is not None
    assert found.rollout.is_over or rollout.id in stores.rollouts.list_open_ids()
