"""Test that a restart does not create a table that vanished, on Azurite."""

from contextlib import suppress

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient

from functions import create_table, wiring
from functions.dispatch_queue.port import Batch
from functions.dispatch_queue.storage_queue import QUEUE
from functions.dispatch_queue.table_mark import open_table_mark
from functions.errors import StorageUnavailableError, TableMissingError
from functions.rollout_store.table_storage import keys
from functions.rollouts.model.device_set import DeviceSet
from tests.ports import free_ports

HUB = "HostName=hub.example;SharedAccessKeyName=n;SharedAccessKey=YQ=="
BATCH = Batch("98233500000000-0123456789ab", 1, 0, DeviceSet.of([0]))


class Account:
    """A storage account, and an app that a test restarts."""

    def __init__(self, storage: str, environment: pytest.MonkeyPatch) -> None:
        self._environment = environment
        self.tables = TableServiceClient.from_connection_string(storage)
        self.queues = QueueServiceClient.from_connection_string(storage)
        environment.setenv("IOTHUB_CONNECTION_STRING", HUB)
        environment.setenv("AzureWebJobsStorage", storage)
        self.restart()

    def restart(self) -> None:
        self._environment.setattr(wiring, "_process", wiring._Process())  # noqa: SLF001

    def has_table(self) -> bool:
        return keys.TABLE in {table.name for table in self.tables.list_tables()}


@pytest.fixture
def account(storage: str, monkeypatch: pytest.MonkeyPatch) -> Account:
    """Return an account without the app's table and queue, as before its first deployment."""
    found = Account(storage, monkeypatch)
    found.tables.delete_table(keys.TABLE)
    with suppress(ResourceNotFoundError):
        found.queues.delete_queue(QUEUE)
    return found


def test_the_first_deployment_creates_the_table_and_a_restart_finds_it(account: Account) -> None:
    wiring.stores().ping()
    account.restart()
    wiring.stores().ping()
    assert account.has_table()


def test_no_restart_creates_a_table_that_vanished_and_the_command_does(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    wiring.stores()
    account.tables.delete_table(keys.TABLE)
    for _ in range(2):
        account.restart()
        with pytest.raises(TableMissingError, match=r"functions\.create_table"):
            wiring.stores().ping()
        assert not account.has_table()
    assert create_table.main() == 0
    assert "has no rollouts" in capsys.readouterr().out
    account.restart()
    wiring.stores().ping()
    assert create_table.main() == 0
    assert "The table exists" in capsys.readouterr().out


def test_a_queue_that_vanished_and_is_created_again_still_knows_of_the_table(
    account: Account,
) -> None:
    wiring.stores()
    account.queues.delete_queue(QUEUE)
    wiring.queue().put(BATCH, 0)
    account.tables.delete_table(keys.TABLE)
    account.restart()
    with pytest.raises(TableMissingError):
        wiring.stores().ping()
    assert create_table.main() == 0


def test_a_crash_before_the_mark_is_set_is_a_first_deployment_again(
    account: Account, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_: object) -> None:
        raise StorageUnavailableError("The process crashes.")

    with monkeypatch.context() as broken:
        broken.setattr("functions.dispatch_queue.table_mark.TableMark.set", crash)
        with pytest.raises(StorageUnavailableError):
            wiring.stores()
    assert not open_table_mark(storage, None).is_set()
    account.restart()
    wiring.stores().ping()
    assert open_table_mark(storage, None).is_set()


def test_a_queue_of_an_earlier_release_keeps_its_metadata(account: Account, storage: str) -> None:
    account.queues.create_queue(QUEUE, metadata={"owner": "iot"})
    mark = open_table_mark(storage, None)
    assert not mark.is_set()
    mark.set()
    mark.set()
    assert mark.is_set()
    metadata = account.queues.get_queue_client(QUEUE).get_queue_properties().metadata
    assert metadata is not None
    assert metadata["owner"] == "iot"


def test_nothing_is_created_while_it_is_unknown_whether_the_table_was_there(
    account: Account, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(1, "127.0.0.1")
    nowhere = (
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=c2VjcmV0;"
        f"QueueEndpoint=http://127.0.0.1:{port}/devstoreaccount1"
    )
    monkeypatch.setenv("AzureWebJobsStorage", nowhere)
    monkeypatch.setenv("ROLLOUT_TABLES", storage)
    account.restart()
    with pytest.raises(StorageUnavailableError):
        wiring.stores()
    assert not account.has_table()
    assert create_table.main() == 1
    account.tables.create_table_if_not_exists(keys.TABLE)
