"""Test what the tables and the queue record of the storage account."""

from collections.abc import Sequence

import pytest

from functions.dispatch_queue.storage_queue import open_storage_queue
from functions.errors import LostRaceError, StorageUnavailableError
from functions.last_calls import LastCall, PartState
from functions.rollout_store.table_storage.stores import open_table_stores
from functions.rollout_store.table_storage.table import Row, open_table
from tests.ports import free_ports

ROW = {"PartitionKey": "p", "RowKey": "r"}
NOWHERE = (
    "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;"
    "TableEndpoint=http://127.0.0.1:{0}/a;QueueEndpoint=http://127.0.0.1:{0}/a"
)


def test_tables_that_respond_are_recorded(storage: str) -> None:
    call = LastCall()
    stores = open_table_stores(storage, None, call)
    assert call.state() is PartState.OK
    call.record(responded=False)
    stores.ping()
    assert call.state() is PartState.OK


def test_a_lost_race_is_a_response(storage: str) -> None:
    call = LastCall()
    table = open_table("lastcall", storage, None, call)
    table.write(ROW, None)
    call.record(responded=False)
    with pytest.raises(LostRaceError):
        table.delete("p", "r", 'W/"other"')
    assert call.state() is PartState.OK


@pytest.mark.parametrize("others", [(), (ROW | {"RowKey": "other"},)])
def test_a_refusal_for_size_is_a_response_and_says_so(storage: str, others: Sequence[Row]) -> None:
    call = LastCall()
    table = open_table("lastcall", storage, None, call)
    with pytest.raises(StorageUnavailableError, match="refuses a row that is too large"):
        table.write(ROW | {"RowKey": "long", "text": "x" * 40_000}, None, others)
    assert call.state() is PartState.OK


def test_a_queue_that_is_not_made_yet_responds(storage: str) -> None:
    call = LastCall()
    open_storage_queue(storage, None, call).ping()
    assert call.state() is PartState.OK


def test_an_account_that_is_not_reached_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # the SDKs' pauses
    (port,) = free_ports(1)
    account, tables, queue = NOWHERE.format(port), LastCall(), LastCall()
    with pytest.raises(StorageUnavailableError):
        open_table_stores(account, None, tables)
    with pytest.raises(StorageUnavailableError):
        open_storage_queue(account, None, queue).ping()
    assert (tables.state(), queue.state()) == (PartState.FAILING, PartState.FAILING)
