"""Test limits and outages of the stores on Azure Table Storage."""

import json
import re
from dataclasses import replace
from typing import Any, cast

import pytest
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.data.tables import TableServiceClient

from functions.dispatch_queue.storage_queue import open_storage_queue
from functions.errors import (
    LostRaceError,
    SettingsError,
    StorageUnavailableError,
    TableMissingError,
)
from functions.last_calls import LastCall, PartState
from functions.rollout_store.ports.rollout_ids import new_rollout_id
from functions.rollout_store.ports.rollouts import MAX_BLOCKS_PER_SAVE, MAX_NEW_BLOCKS_PER_SAVE
from functions.rollout_store.table_storage import block_rows, keys
from functions.rollout_store.table_storage.stores import open_table_stores
from functions.rollout_store.table_storage.table import Table
from functions.rollout_store.table_storage.values import COLUMN_CHARACTERS
from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.block import BLOCK_SIZE, Block
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import HistoryEntry
from functions.rollouts.model.method_outcome import MethodResponse
from functions.rollouts.model.quotas import Budget
from functions.rollouts.model.reason import Reason
from functions.rollouts.rollout.strata import NO_STRATA
from functions.use_cases import draft
from tests.functions.builders import NOON, change
from tests.functions.rollout_store.records import full_update, rollout_with
from tests.ports import free_ports

# Microsoft Learn, "Understanding the Table service data model" and "Performing entity group
# transactions": an entity, a string in UTF-16, a transaction.
ROW_BYTES, TRANSACTION_BYTES = 2**20, 4 * 2**20


def worst_block(number: int) -> Block:
    """Build a block with the longest ids, texts, payloads and histories."""
    step = HistoryEntry(state=DeviceState.DOWNLOADING, attempt=99, at=NOON, message="界" * 300)
    update = full_update()._replace(
        version="v" * 64,
        method=MethodResponse(status=2**31 - 1, payload={"text": "x" * 120_000, "odd": "\ud800"}),
        error=Reason(code="reported", message="界" * 350),
        explanation="界" * 400,
        history=(step,) * 30,
    )
    ids = (f"{'x' * 125}{index:03d}" for index in range(BLOCK_SIZE))
    return Block(number, tuple(update._replace(device_id=device_id) for device_id in ids))


def test_the_largest_blocks_fit_into_rows_and_a_full_save_into_one_transaction(
    storage: str,
) -> None:
    columns = block_rows.block_to_columns(worst_block(0))
    texts = [value for value in columns.values() if isinstance(value, str)]
    assert max(map(len, texts)) <= COLUMN_CHARACTERS
    assert sum(2 * len(text) for text in texts) < ROW_BYTES
    assert MAX_BLOCKS_PER_SAVE * sum(len(json.dumps(text)) for text in texts) < TRANSACTION_BYTES
    stores = open_table_stores(storage, None)
    rollout, _ = rollout_with(*(f"d{n}" for n in range(MAX_BLOCKS_PER_SAVE * BLOCK_SIZE)))
    blocks = [worst_block(number) for number in range(MAX_BLOCKS_PER_SAVE)]
    snapshot = stores.rollouts.add(rollout, blocks)
    kept = stores.rollouts.get_blocks(replace(snapshot, blocks={}), [3]).blocks[3].updates[7]
    assert kept.device_id == blocks[3].updates[7].device_id
    assert kept.method is not None
    assert kept.method.payload.startswith('{"text":"xxx')
    assert 0 < len(kept.history) < 30


@pytest.mark.parametrize("character", ["\U0001f680", "界", '"', "\ud83d"])
def test_texts_from_devices_never_make_a_rollout_too_large(storage: str, character: str) -> None:
    stores = open_table_stores(storage, None)
    for length in (10, 300):
        update = full_update()._replace(
            error=Reason(code=character * length, message=character * length),
            explanation=character * length * 2,
            method=MethodResponse(status=500, payload=[character] * length),
        )
        updates = tuple(update._replace(device_id=f"d{n}") for n in range(BLOCK_SIZE))
        for blocks in (1, MAX_BLOCKS_PER_SAVE):
            rollout, _ = rollout_with(*(f"d{n}" for n in range(blocks * BLOCK_SIZE)))
            snapshot = stores.rollouts.add(rollout, [Block(n, updates) for n in range(blocks)])
            last = replace(snapshot, blocks={}) if blocks > 1 else stores.rollouts.get(rollout.id)
            assert last is not None
            kept = stores.rollouts.get_blocks(last, [blocks - 1]).blocks[blocks - 1].updates
            assert [item.device_id for item in kept] == [item.device_id for item in updates]


def test_events_moved_since_a_rollout_was_read_are_listed_once(storage: str) -> None:
    stores = open_table_stores(storage, None)
    events = tuple(Event(at=NOON, action=f"a{n}", by="ada", message="") for n in range(30))
    rollout, blocks = rollout_with("a")
    first = stores.rollouts.add(change(rollout, events=events[:20], event_count=20), blocks)
    kept = change(rollout, events=events[10:20], event_count=20)
    second = stores.rollouts.save(first, kept, (), events[:10])
    later = change(rollout, events=events[20:], event_count=30)
    stores.rollouts.save(second, later, (), events[10:20])
    assert stores.rollouts.list_events(second, 100, None).items == list(events[:20])


def test_unreachable_storage_is_unavailable() -> None:
    (port,) = free_ports(1)
    nowhere = (
        "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;"
        f"TableEndpoint=http://127.0.0.1:{port}/a"
    )
    with pytest.raises(StorageUnavailableError):
        open_table_stores(nowhere, None)


def test_a_table_that_vanished_is_not_created_again(storage: str) -> None:
    stores = open_table_stores(storage, None)
    service = TableServiceClient.from_connection_string(storage)
    service.delete_table(keys.TABLE)
    rollout, blocks = rollout_with("d-1")
    for _ in range(2):
        with pytest.raises(TableMissingError, match=keys.TABLE):
            stores.rollouts.list_rollouts(None, 1, None)
        with pytest.raises(TableMissingError):
            stores.rollouts.get(new_rollout_id(NOON))
        with pytest.raises(TableMissingError):
            stores.rollouts.add(rollout, blocks)
        with pytest.raises(TableMissingError):
            stores.budget.save(Budget(at=NOON), None)
    service.create_table(keys.TABLE)
    assert stores.rollouts.list_rollouts(None, 1, None).items == []


class _Refusing:
    """Stand in for the SDK's client: each write is refused with 409 and this code."""

    def __init__(self, code: str) -> None:
        self.error = ResourceExistsError("refused")
        self.error.status_code, self.error.error_code = 409, code  # type: ignore[attr-defined]

    def create_entity(self, *_: Any, **__: Any) -> None:
        raise self.error

    def upsert_entity(self, *_: Any, **__: Any) -> None:
        raise self.error

    def get_entity(self, *_: Any, **__: Any) -> None:
        raise ResourceNotFoundError("none")


@pytest.mark.parametrize(
    ("code", "expected"),
    [("TableBeingDeleted", TableMissingError), ("EntityAlreadyExists", LostRaceError)],
)
def test_a_table_that_is_being_deleted_is_no_lost_race(
    code: str, expected: type[Exception]
) -> None:
    last_call = LastCall()
    table = Table(cast("Any", _Refusing(code)), last_call)
    with pytest.raises(expected):
        table.put([{"PartitionKey": "p", "RowKey": "r"}])
    is_missing = expected is TableMissingError
    assert last_call.state() is (PartState.FAILING if is_missing else PartState.OK)
    with pytest.raises(expected):
        table.write({"PartitionKey": "p", "RowKey": "r"}, None)


@pytest.mark.parametrize("status", [401, 403])
def test_tables_that_refuse_the_app_say_what_to_check(status: int) -> None:
    refusing = _Refusing("AuthorizationFailure")
    refusing.error.status_code = status
    last_call = LastCall()
    with pytest.raises(StorageUnavailableError, match=f"{status}.*Storage Table Data Contributor"):
        Table(cast("Any", refusing), last_call).put([{"PartitionKey": "p", "RowKey": "r"}])
    assert last_call.state() is PartState.FAILING


def test_queues_that_refuse_the_app_say_what_to_check(storage: str) -> None:
    wrong = re.sub("AccountKey=[^;]*", "AccountKey=d3Jvbmc=", storage)
    with pytest.raises(StorageUnavailableError, match=r"403.*Storage Queue Data Contributor"):
        open_storage_queue(wrong, None).ping()


@pytest.mark.parametrize("text", ["", "nonsense", "AccountKey=c2VjcmV0"])
def test_an_invalid_connection_string_is_not_repeated_in_the_error(text: str) -> None:
    with pytest.raises(SettingsError, match="AzureWebJobsStorage") as caught:
        open_table_stores(text, None)
    assert "c2VjcmV0" not in str(caught.value)


def rows_of(storage: str, rollout_id: str) -> list[str]:
    service = TableServiceClient.from_connection_string(storage)
    found = service.get_table_client(keys.TABLE).query_entities(
        "PartitionKey eq @it", parameters={"it": keys.rollout_partition(rollout_id)}
    )
    return [row["RowKey"] for row in found]


def test_a_rollout_of_one_block_has_one_row_and_a_larger_one_a_row_per_block(
    storage: str,
) -> None:
    stores = open_table_stores(storage, None)
    for devices, names in (
        (100, ["rollout"]),
        (101, ["block-00000", "block-00001", "rollout"]),
    ):
        rollout, blocks = rollout_with(*(f"d{number}" for number in range(devices)))
        snapshot = stores.rollouts.add(rollout, blocks)
        stores.rollouts.save(snapshot, replace(rollout, revision=1), blocks[:1])
        assert rows_of(storage, rollout.id) == names


def test_the_largest_new_blocks_fit_into_one_save(storage: str) -> None:
    count = MAX_NEW_BLOCKS_PER_SAVE
    rollout, _ = rollout_with(*(f"{'x' * 120}{n:05d}" for n in range(count * BLOCK_SIZE)))
    ids = [f"{'x' * 123}{n:05d}" for n in range(count * BLOCK_SIZE)]
    versions = dict.fromkeys(ids, "\U0001f680" * 64)
    blocks = draft.make_blocks(
        rollout, ids, rollout.waves, now=NOON, package_keys=versions, strata=NO_STRATA
    )
    assert len(blocks) == count
    open_table_stores(storage, None).rollouts.add(rollout, blocks)
