"""Test that a process opens what its settings name, once, at the first use."""

import threading
import time
from collections.abc import Callable, Iterator
from unittest.mock import Mock

import pytest

from functions import wiring
from functions.errors import SettingsError, StorageUnavailableError
from functions.rollouts.model.quotas import Tier, quotas
from functions.settings import AppIdentity

HUB = "HostName=hub.example;SharedAccessKeyName=n;SharedAccessKey=YQ=="


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Start a process that has read no settings; return what sets them."""
    monkeypatch.setattr(wiring, "_process", wiring._Process())  # noqa: SLF001 - a new process
    for name in (
        "IOTHUB_CONNECTION_STRING",
        "IOTHUB_HOSTNAME",
        "AzureWebJobsStorage",
        "AZURE_CLIENT_ID",
    ):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_threads_share_one_value() -> None:
    made: list[object] = []

    def make() -> object:
        time.sleep(0.05)
        made.append(object())
        return made[-1]

    once = wiring._Once(make)  # noqa: SLF001 - it is private
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(once())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert found == made * 8


def test_a_failure_is_not_kept() -> None:
    results: Iterator[StorageUnavailableError | str] = iter(
        [StorageUnavailableError("not yet"), "made"]
    )

    def make() -> str:
        result = next(results)
        if isinstance(result, StorageUnavailableError):
            raise result
        return result

    once = wiring._Once(make)  # noqa: SLF001
    with pytest.raises(StorageUnavailableError):
        once()
    assert once() == "made"


def test_the_first_use_names_a_missing_setting(process: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="IOTHUB_CONNECTION_STRING"):
        wiring.hub()
    process.setenv("IOTHUB_CONNECTION_STRING", HUB)
    with pytest.raises(SettingsError, match="AzureWebJobsStorage"):
        wiring.stores()


def test_a_process_has_one_hub_gateway_one_queue_and_one_set_of_stores(
    process: pytest.MonkeyPatch, storage: str
) -> None:
    process.setenv("IOTHUB_CONNECTION_STRING", HUB)
    process.setenv("AzureWebJobsStorage", storage)
    process.setenv("IOTHUB_TIER", "S3")
    services = wiring.services()
    assert services.hub is wiring.hub()
    assert services.stores is wiring.stores()
    assert services.queue is wiring.services().queue
    assert services.limits == quotas(Tier.S3, 1, 0.8, daily_share=0.3)
    services.stores.ping()


def test_an_invalid_setting_is_logged_at_the_start(
    process: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    process.setenv("IOTHUB_CONNECTION_STRING", HUB)
    process.setenv("AzureWebJobsStorage", "s")
    process.setenv("ROLLOUT_PUBLIC_URL", "apis.example")
    wiring.log_settings_error()
    assert "ROLLOUT_PUBLIC_URL must be an http or https URL" in caplog.text
    caplog.clear()
    process.delenv("ROLLOUT_PUBLIC_URL")
    wiring.log_settings_error()
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("identity", "name", "client_id"),
    [
        (AppIdentity(), "DefaultAzureCredential", None),
        (AppIdentity(client_id="id"), "DefaultAzureCredential", "id"),
        (AppIdentity(managed_only=True), "ManagedIdentityCredential", None),
        (AppIdentity(client_id="id", managed_only=True), "ManagedIdentityCredential", "id"),
    ],
)
def test_an_identity_becomes_its_credential(
    process: pytest.MonkeyPatch, identity: AppIdentity, name: str, client_id: str | None
) -> None:
    made: list[tuple[str, list[object]]] = []

    def maker(kind: str) -> Callable[..., None]:
        return lambda **named: made.append((kind, list(named.values())))

    for kind in ("DefaultAzureCredential", "ManagedIdentityCredential"):
        process.setattr(f"azure.identity.{kind}", maker(kind))
    process.setenv("AZURE_CLIENT_ID", "of the environment")  # the settings have it already
    wiring._make_credential(identity)  # noqa: SLF001
    assert made == [(name, [client_id])]


def test_each_service_is_opened_with_its_own_credential(process: pytest.MonkeyPatch) -> None:
    """Check user-assigned identities for hub and queue, and a connection string for the tables."""
    opened: dict[str, tuple[str, object]] = {}

    def opener(name: str) -> Callable[..., str]:
        def open_it(source: str, credential: object, *_: object, **__: object) -> str:
            opened[name] = (source, credential)
            return name

        return open_it

    for name in ("iot_hub", "table_stores", "storage_queue", "delivery_queue"):
        process.setattr(wiring, f"open_{name}", opener(name))
    mark = Mock(is_set=lambda: True)
    process.setattr(wiring, "open_table_mark", lambda *found: opener("mark")(*found) and mark)
    process.setattr(wiring, "_make_credential", lambda identity: identity)
    process.setenv("IOTHUB_HOSTNAME", "hub.example")
    process.setenv("IOTHUB_CLIENT_ID", "hub-id")
    process.setenv("AZURE_CLIENT_ID", "app-id")
    process.setenv("AzureWebJobsStorage__accountName", "acc")
    process.setenv("ROLLOUT_TABLES", "a connection string")
    wiring.services()
    assert opened == {
        "iot_hub": ("hub.example", AppIdentity(client_id="hub-id")),
        "table_stores": ("a connection string", None),
        "mark": ("https://acc.queue.core.windows.net", AppIdentity(client_id="app-id")),
        "storage_queue": ("https://acc.queue.core.windows.net", AppIdentity(client_id="app-id")),
        "delivery_queue": ("https://acc.queue.core.windows.net", AppIdentity(client_id="app-id")),
    }


def test_connections_share_the_credential_of_one_identity(process: pytest.MonkeyPatch) -> None:
    process.setattr(wiring, "_make_credential", lambda _: object())
    one = wiring._process._credential(AppIdentity(client_id="id"))  # noqa: SLF001
    assert wiring._process._credential(AppIdentity(client_id="id")) is one  # noqa: SLF001
    assert wiring._process._credential(AppIdentity()) is not one  # noqa: SLF001
