"""Test that a process opens what its settings name, once, at the first use."""

import threading
import time
from collections.abc import Callable, Iterator
from unittest.mock import Mock

import pytest
from azure.functions import HttpRequest

from functions import wiring
from functions.errors import SettingsError, StorageUnavailableError
from functions.rollouts.model.identity import IdentityKind
from functions.rollouts.model.quotas import Tier, quotas
from functions.settings.connections import AppIdentity
from functions.triggers.caller import identify

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
    process.setenv("ROLLOUT_RETENTION", "a year")
    wiring.log_settings_error()
    assert "ROLLOUT_RETENTION must be an ISO 8601 duration" in caplog.text
    caplog.clear()
    process.delenv("ROLLOUT_RETENTION")
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


type SignedIn = tuple[str, str | None] | None  # class and client id of a credential

HUBS: dict[str, tuple[dict[str, str], SignedIn]] = {
    "string": ({"IOTHUB_CONNECTION_STRING": HUB}, None),
    "system": ({"IOTHUB_HOSTNAME": "h"}, ("DefaultAzureCredential", None)),
    "user": (
        {"IOTHUB_HOSTNAME": "h", "IOTHUB_CLIENT_ID": "hub-id"},
        ("DefaultAzureCredential", "hub-id"),
    ),
}
STORAGES: dict[str, tuple[dict[str, str], SignedIn]] = {
    "string": ({"AzureWebJobsStorage": "s"}, None),
    "system": ({"AzureWebJobsStorage__accountName": "a"}, ("DefaultAzureCredential", None)),
    "user": (
        {"AzureWebJobsStorage__accountName": "a", "AzureWebJobsStorage__clientId": "storage-id"},
        ("DefaultAzureCredential", "storage-id"),
    ),
    "user of the host": (
        {
            "AzureWebJobsStorage__accountName": "a",
            "AzureWebJobsStorage__clientId": "storage-id",
            "AzureWebJobsStorage__credential": "managedidentity",
        },
        ("ManagedIdentityCredential", "storage-id"),
    ),
}


@pytest.mark.parametrize("app_id", [None, "app-id"])
@pytest.mark.parametrize("storage", STORAGES.values(), ids=STORAGES)
@pytest.mark.parametrize("hub", HUBS.values(), ids=HUBS)
def test_each_combination_signs_in_as_intended_and_names_the_same_callers(
    process: pytest.MonkeyPatch,
    hub: tuple[dict[str, str], SignedIn],
    storage: tuple[dict[str, str], SignedIn],
    app_id: str | None,
) -> None:
    """`AZURE_CLIENT_ID` counts for a connection whose own settings name no identity."""
    environment = {**hub[0], **storage[0], **({"AZURE_CLIENT_ID": app_id} if app_id else {})}
    for name in ("IOTHUB_CLIENT_ID", "ROLLOUT_TRUST_EASY_AUTH", "ROLLOUT_TABLES"):
        process.delenv(name, raising=False)
    for name, value in environment.items():
        process.setenv(name, value)
    for kind in ("DefaultAzureCredential", "ManagedIdentityCredential"):
        process.setattr(
            f"azure.identity.{kind}",
            lambda kind=kind, **named: (kind, next(iter(named.values()))),
        )

    def expected(own: SignedIn) -> SignedIn:
        return (own[0], own[1] or app_id) if own else None

    app = wiring._process  # noqa: SLF001
    settings = app.settings
    for connection, own in (
        (settings.hub, hub[1]), (settings.queue, storage[1]), (settings.tables, storage[1]),
    ):  # fmt: skip
        credential: object = app._sign_in(connection)[1]  # noqa: SLF001
        assert credential == expected(own)
    signed_in = HttpRequest("POST", "/", headers={"x-ms-client-principal-id": "o"}, body=b"")
    assert [identify(signed_in, said).name for said in ("deploy key", None)] == [
        "deploy key",
        "api",
    ]
    process.setenv("ROLLOUT_TRUST_EASY_AUTH", "true")
    found = identify(signed_in, "deploy key")
    assert (found.kind, found.id) == (IdentityKind.PRINCIPAL, "o")


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
