"""What only the store on Azure Table Storage has to live with: limits, outages, lost answers."""

import json
from dataclasses import replace
from typing import Any, cast

import pytest
from azure.data.tables import TableClient, TableServiceClient

from functions.errors import LostRaceError, SettingsError, StorageUnavailableError
from functions.rollout_store import block_rows, keys
from functions.rollout_store.plain import COLUMN_CHARACTERS
from functions.rollout_store.table import Table
from functions.rollout_store.table_storage import TableStore, open_table_store
from functions.rollouts.device_update import DeviceState, MethodAnswer, Reason, Step
from functions.rollouts.rollout import BLOCK_SIZE, Block
from functions.use_cases.commit import BLOCKS_AT_ONCE
from tests.functions.builders import NOON
from tests.functions.fragile import CrashError, Fragile
from tests.functions.rollout_store.records import full_update, rollout_with
from tests.ports import free_ports

# Microsoft Learn, "Understanding the Table service data model" and "Performing entity group
# transactions": an entity, a string in UTF-16, a transaction.
ROW_BYTES, TRANSACTION_BYTES = 2**20, 4 * 2**20


def worst_block(number: int) -> Block:
    """The longest ids, texts, payloads and histories that there can be."""
    step = Step(state=DeviceState.DOWNLOADING, attempt=99, at=NOON, message="界" * 300)
    update = full_update()._replace(
        version="v" * 64,
        method=MethodAnswer(status=2**31 - 1, payload={"text": "x" * 120_000, "odd": "\ud800"}),
        error=Reason(code="reported", message="界" * 350),
        explanation="界" * 400,
        history=(step,) * 30,
    )
    ids = (f"{'x' * 125}{place:03d}" for place in range(BLOCK_SIZE))
    return Block(number, tuple(update._replace(device_id=device_id) for device_id in ids))


def table(storage: str) -> TableClient:
    service = TableServiceClient.from_connection_string(storage)
    return service.get_table_client(keys.TABLE)


def test_the_largest_blocks_fit_into_their_rows_and_as_many_as_are_written_into_one_write(
    storage: str,
) -> None:
    columns = block_rows.block_columns(worst_block(0))
    texts = [value for value in columns.values() if isinstance(value, str)]
    assert max(map(len, texts)) <= COLUMN_CHARACTERS
    assert sum(2 * len(text) for text in texts) < ROW_BYTES
    assert BLOCKS_AT_ONCE * sum(len(json.dumps(text)) for text in texts) < TRANSACTION_BYTES
    store = open_table_store(storage, None)
    rollout, _ = rollout_with(*(f"d{n}" for n in range(BLOCKS_AT_ONCE * BLOCK_SIZE)))
    blocks = [worst_block(number) for number in range(BLOCKS_AT_ONCE)]
    snapshot = store.add_rollout(rollout, blocks)
    kept = store.with_blocks(replace(snapshot, blocks={}), [3]).blocks[3].updates[7]
    assert kept.device_id == blocks[3].updates[7].device_id
    assert kept.method is not None
    assert kept.method.payload.startswith('{"text":"xxx')
    assert 0 < len(kept.history) < 30


def test_what_a_crash_leaves_behind_is_never_advanced_nor_shown(storage: str) -> None:
    """The rollout's own row is written last; without it there is no rollout."""
    rollout, blocks = rollout_with("orphan")
    open_table_store(storage, None)
    dying = TableStore(Table(cast("TableClient", Fragile(table(storage), at=2, after=False))))
    with pytest.raises(CrashError):
        dying.add_rollout(rollout, blocks)
    fresh = open_table_store(storage, None)
    assert fresh.snapshot(rollout.id) is None
    assert rollout.id not in [item.id for item in fresh.rollouts(None, 100, None).items]


def test_storage_that_does_not_answer_is_said_to_be_unavailable() -> None:
    (port,) = free_ports(1)
    nowhere = (
        "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;"
        f"TableEndpoint=http://127.0.0.1:{port}/a"
    )
    with pytest.raises(StorageUnavailableError):
        open_table_store(nowhere, None)


def test_a_table_deleted_meanwhile_is_made_again(storage: str) -> None:
    store = open_table_store(storage, None)
    service = TableServiceClient.from_connection_string(storage)
    service.delete_table(keys.TABLE)
    with pytest.raises(StorageUnavailableError):
        store.rollouts(None, 1, None)
    assert store.rollouts(None, 1, None).items == []
    service.delete_table(keys.TABLE)
    with pytest.raises(StorageUnavailableError):
        store.snapshot(keys.new_rollout_id(NOON))
    assert store.snapshot(keys.new_rollout_id(NOON)) is None


@pytest.mark.parametrize("text", ["", "nonsense", "AccountKey=c2VjcmV0"])
def test_a_connection_string_that_cannot_be_one_is_not_repeated(text: str) -> None:
    with pytest.raises(SettingsError, match="AzureWebJobsStorage") as caught:
        open_table_store(text, None)
    assert "c2VjcmV0" not in str(caught.value)


class Forgetful:
    """A table client whose writes succeed, but whose answers are lost and then misunderstood.

    So it is when the SDK repeats a write that had been done: the service refuses the repeat.
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
def test_a_write_that_the_sdk_repeats_has_not_lost_a_race(storage: str, devices: int) -> None:
    open_table_store(storage, None)
    store = TableStore(Table(cast("TableClient", Forgetful(table(storage)))))
    rollout, blocks = rollout_with(*(f"d{n}" for n in range(devices)), seconds=devices)
    first = store.add_rollout(rollout, blocks)
    second = store.save(first, replace(rollout, revision=1), blocks[:1])
    store.save(second, replace(rollout, revision=2), blocks[:1])
    with pytest.raises(LostRaceError):
        store.save(first, replace(rollout, revision=3), blocks[:1])
    found = store.snapshot(rollout.id)
    assert found is not None
    assert found.rollout.revision == 2
