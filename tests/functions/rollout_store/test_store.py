"""One set of promises, kept by the store on Azurite and by the one in memory alike."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from azure.data.tables import TableClient, TableServiceClient
from functions.rollouts.model import (
    Baseline,
    Counts,
    DeviceState,
    DeviceUpdate,
    MethodAnswer,
    Reason,
    Rollout,
    RolloutStatus,
    Step,
)

from functions.errors import LostRaceError, SettingsError, StorageUnavailableError
from functions.rollout_store import keys
from functions.rollout_store.port import CursorError, Hold, KeyUse, RolloutStore, Stored
from functions.rollout_store.table import Table
from functions.rollout_store.table_storage import TableStore, open_table_store
from tests.functions.builders import NOON, at, make_rollout, make_update
from tests.functions.fragile import CrashError, Fragile
from tests.functions.memory_store import MemoryStore
from tests.ports import free_ports

ODD_IDS = ("a#b", "a?b", "a%2Fb", "a'b", "a=b", "A", "a", "a:b", "x" * 128, "a%b", "=23", "a=23b")


@pytest.fixture(params=["azurite", "memory"])
def store(request: pytest.FixtureRequest) -> RolloutStore:
    if request.param == "memory":
        return MemoryStore()
    connection_string = request.getfixturevalue("storage")
    service = TableServiceClient.from_connection_string(connection_string)
    opened = open_table_store(connection_string, None)
    table = service.get_table_client(keys.TABLE)
    for entity in list(table.list_entities(select=["PartitionKey", "RowKey"])):
        table.delete_entity(entity)
    return opened


def new_rollout(store: RolloutStore, *device_ids: str, seconds: float = 0) -> Rollout:
    rollout = replace(
        make_rollout(*device_ids), id=keys.new_rollout_id(at(seconds)), created_at=at(seconds)
    )
    return stored_rollout(store, rollout)


def stored_rollout(store: RolloutStore, rollout: Rollout) -> Rollout:
    store.add_updates(rollout.id, [make_update(device_id) for device_id in rollout.device_ids])
    store.add_rollout(rollout)
    return rollout


def stored_update(store: RolloutStore, rollout: Rollout, device: str) -> Stored[DeviceUpdate]:
    stored = store.update(rollout.id, device)
    assert stored is not None
    return stored


def test_a_rollout_comes_back_as_it_was_stored(store: RolloutStore) -> None:
    rollout = replace(
        make_rollout(*ODD_IDS, labels={"build": "12'34", "Ümlaut": "\u2028"}),
        id=keys.new_rollout_id(NOON),
    )
    stored_rollout(store, rollout)
    stored = store.rollout(rollout.id)
    assert stored is not None
    assert stored.record == rollout

    ended = replace(
        rollout,
        status=RolloutStatus.FAILED,
        status_reason=Reason(code="successShare", message="1 of 2"),
        ended_at=at(5.000001),
        final_counts=Counts(total=2, completed=1, failed=1),
    )
    store.save_rollout(Stored(ended, stored.version))
    again = store.rollout(rollout.id)
    assert again is not None
    assert again.record == ended


def test_a_full_device_update_comes_back_as_it_was_stored(store: RolloutStore) -> None:
    rollout = new_rollout(store, "thermostat-1")
    full = make_update(
        state=DeviceState.FAILED,
        attempt=3,
        claims=4,
        tries=2,
        delays=1,
        not_before=at(7.5),
        in_doubt=True,
        seen_offline=True,
        baseline=Baseline(
            status_at=at(-1.000001), update_at=at(-2), last_update='"x"', recognises_repeats=True
        ),
        method=MethodAnswer(status=200, payload={"nested": [None, 1.5, "ü"]}),
        firmware_status="failed",
        progress_percent=40,
        error=Reason(code="reported", message="because"),
        previous_version="1.0.0",
        dispatched_at=at(1),
        claimed_at=at(1.5),
        accepted_at=at(2),
        ended_at=at(3),
        explanation="Because.",
        history=(Step(state=DeviceState.QUEUED, attempt=1, at=at(0.123456), message="new"),),
    )
    store.save_updates(
        rollout.id, [Stored(full, stored_update(store, rollout, "thermostat-1").version)]
    )
    assert stored_update(store, rollout, "thermostat-1").record == full


def test_device_ids_of_any_legal_form_are_told_apart(store: RolloutStore) -> None:
    rollout = new_rollout(store, *ODD_IDS)
    for device_id in ODD_IDS:
        assert stored_update(store, rollout, device_id).record.device_id == device_id
        history = store.history(device_id, 10, None)
        assert [update.device_id for _, update in history.items] == [device_id]
    assert len(store.updates(rollout.id)) == len(ODD_IDS)


def test_more_device_updates_than_one_transaction_holds(store: RolloutStore) -> None:
    rollout = new_rollout(store, *(f"device-{n:04d}" for n in range(250)))
    stored = store.updates(rollout.id)
    assert len(stored) == 250
    moved = [
        Stored(replace(item.record, state=DeviceState.SKIPPED), item.version) for item in stored
    ]
    assert all(store.save_updates(rollout.id, moved))
    assert set(store.states(rollout.id)) == {DeviceState.SKIPPED}


def test_a_lost_race_costs_only_the_update_that_lost_it(store: RolloutStore) -> None:
    rollout = new_rollout(store, "a", "b", "c")
    stored = store.updates(rollout.id)
    faster = replace(stored[1].record, attempt=7)
    assert store.save_updates(rollout.id, [Stored(faster, stored[1].version)])[0]
    moved = [Stored(replace(item.record, attempt=2), item.version) for item in stored]
    saved = store.save_updates(rollout.id, moved)
    assert [item.record.device_id if item else None for item in saved] == ["a", None, "c"]
    assert [item.record.attempt for item in store.updates(rollout.id)] == [2, 7, 2]


def test_a_version_that_was_given_back_can_be_saved_again(store: RolloutStore) -> None:
    rollout = new_rollout(store, "a", "b")
    saved = store.save_updates(rollout.id, store.updates(rollout.id))
    assert all(store.save_updates(rollout.id, [item for item in saved if item]))


def test_a_rollout_changed_meanwhile_is_not_overwritten(store: RolloutStore) -> None:
    stored = store.rollout(new_rollout(store).id)
    assert stored is not None
    store.save_rollout(stored)
    with pytest.raises(LostRaceError):
        store.save_rollout(stored)


def test_rollouts_are_listed_newest_first_page_by_page(store: RolloutStore) -> None:
    created = [new_rollout(store, seconds=n).id for n in range(5)]
    first = store.rollouts(None, 2, None)
    second = store.rollouts(None, 2, first.cursor)
    third = store.rollouts(None, 2, second.cursor)
    pages = [[item.id for item in page.items] for page in (first, second, third)]
    assert pages == [created[:2:-1], created[2:0:-1], created[:1]]
    assert third.cursor is None


def test_a_page_that_is_just_full_is_the_last(store: RolloutStore) -> None:
    new_rollout(store)
    new_rollout(store, seconds=1)
    assert store.rollouts(None, 2, None).cursor is None


def test_rollouts_and_device_updates_are_listed_by_status(store: RolloutStore) -> None:
    ended = new_rollout(store, "a", "b")
    stored = store.rollout(ended.id)
    assert stored is not None
    store.save_rollout(
        Stored(replace(stored.record, status=RolloutStatus.COMPLETED), stored.version)
    )
    going = new_rollout(store, "a", seconds=1)
    done = store.rollouts(RolloutStatus.COMPLETED, 10, None)
    assert [item.id for item in done.items] == [ended.id]
    assert store.open_rollout_ids() == [going.id]

    update = stored_update(store, ended, "b")
    failed = replace(update.record, state=DeviceState.FAILED)
    store.save_updates(ended.id, [Stored(failed, update.version)])
    page = store.updates_page(ended.id, DeviceState.FAILED, 10, None)
    assert [item.device_id for item in page.items] == ["b"]


def test_a_devices_history_is_newest_first_and_pages(store: RolloutStore) -> None:
    created = [new_rollout(store, "a", "ab", seconds=n).id for n in range(3)]
    first = store.history("a", 2, None)
    second = store.history("a", 2, first.cursor)
    assert [rollout.id for rollout, _ in first.items] == [created[2], created[1]]
    assert [rollout.id for rollout, _ in second.items] == [created[0]]
    assert second.cursor is None


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
    assert store.rollout(rollout_id) is None


@pytest.mark.parametrize("cursor", ["x", "é", "%%%", "gAA="])
def test_a_foreign_cursor_is_refused(storage: str, cursor: str) -> None:
    with pytest.raises(CursorError):
        open_table_store(storage, None).rollouts(None, 2, cursor)


def test_what_a_crash_leaves_behind_is_never_seen(storage: str) -> None:
    """The rollout's own row is written last; without it there is no rollout."""
    table = TableServiceClient.from_connection_string(storage).get_table_client(keys.TABLE)
    rollout = replace(make_rollout("orphan"), id=keys.new_rollout_id(NOON))
    # Device update and history are written; the rollout's row is the third write.
    dying = TableStore(Table(cast("TableClient", Fragile(table, at=3, after=False))))
    with pytest.raises(CrashError):
        stored_rollout(dying, rollout)
    fresh = open_table_store(storage, None)
    assert fresh.rollout(rollout.id) is None
    assert fresh.history("orphan", 10, None).items == []
    assert rollout.id not in fresh.open_rollout_ids()


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
        store.rollout(keys.new_rollout_id(NOON))
    assert store.rollout(keys.new_rollout_id(NOON)) is None


@pytest.mark.parametrize("text", ["", "nonsense", "AccountKey=c2VjcmV0"])
def test_a_connection_string_that_cannot_be_one_is_not_repeated(text: str) -> None:
    with pytest.raises(SettingsError, match="AzureWebJobsStorage") as caught:
        open_table_store(text, None)
    assert "c2VjcmV0" not in str(caught.value)


def test_texts_of_any_language_and_length_fit_into_their_columns(storage: str) -> None:
    store = open_table_store(storage, None)
    labels = {f"{n:02}" + "\U0001f680" * 31: "界" * 256 for n in range(20)}
    rollout = new_rollout(store, "d")
    store.add_rollout(replace(rollout, id=keys.new_rollout_id(at(1)), labels=labels))
    update = stored_update(store, rollout, "d")
    step = Step(state=DeviceState.QUEUED, attempt=1, at=NOON, message="\U0001f680" * 1000)
    long = replace(
        update.record,
        method=MethodAnswer(status=2**31 - 1, payload={"text": "x" * 120_000, "odd": "\ud800"}),
        history=(step,) * 50,
        explanation="界" * 500,
    )
    assert store.save_updates(rollout.id, [Stored(long, update.version)])[0]
    kept = stored_update(store, rollout, "d").record
    assert kept.method is not None
    assert kept.method.payload.startswith('{"text": "xxx')
    assert 0 < len(kept.history) < 50


def test_a_list_of_devices_longer_than_a_column_comes_back_whole(storage: str) -> None:
    store = open_table_store(storage, None)
    device_ids = tuple(f"{'long-' * 20}{n:04}" for n in range(1000))
    rollout = replace(make_rollout(*device_ids), id=keys.new_rollout_id(NOON))
    store.add_rollout(rollout)
    stored = store.rollout(rollout.id)
    assert stored is not None
    assert stored.record.device_ids == device_ids


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


def test_a_write_that_the_sdk_repeats_has_not_lost_a_race(storage: str) -> None:
    open_table_store(storage, None)
    client = TableServiceClient.from_connection_string(storage).get_table_client(keys.TABLE)
    store = TableStore(Table(cast("TableClient", Forgetful(client))))
    for device_ids in (("a",), ("a", "b", "c")):
        rollout = new_rollout(store, *device_ids)
        stored = store.updates(rollout.id)
        moved = [Stored(replace(item.record, claims=1), item.version) for item in stored]
        saved = store.save_updates(rollout.id, moved)
        assert all(saved)
        again = [Stored(replace(item.record, claims=2), item.version) for item in saved if item]
        assert all(store.save_updates(rollout.id, again))
        assert store.save_updates(rollout.id, moved) == [None] * len(device_ids)
    with pytest.raises(LostRaceError):
        store.add_rollout(rollout)
