"""The one hub gateway and the one store of this process, each made at its first use."""

import os
from functools import cached_property
from threading import RLock

from azure.core.credentials import TokenCredential

from functions.hub_gateway.iot_hub import open_iot_hub
from functions.hub_gateway.port import HubGateway
from functions.rollout_store.port import RolloutStore
from functions.rollout_store.table_storage import open_table_store
from functions.settings import STORAGE, Settings, read
from functions.use_cases.services import Services


class _Process:
    """Both are costly to make and safe to share, so each is made once; a failure is not kept."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._hub: HubGateway | None = None
        self._store: RolloutStore | None = None

    def hub(self) -> HubGateway:
        if self._hub is None:
            with self._lock:
                self._hub = self._hub or self._open_hub()
        return self._hub

    def store(self) -> RolloutStore:
        if self._store is None:
            with self._lock:
                self._store = self._store or self._open_store()
        return self._store

    def _open_hub(self) -> HubGateway:
        settings = self._settings
        if settings.hub_connection_string:
            return open_iot_hub(settings.hub_connection_string, None)
        return open_iot_hub(settings.hub_hostname or "", self._identity)

    def _open_store(self) -> RolloutStore:
        settings = self._settings
        if settings.storage_connection_string:
            return open_table_store(settings.storage_connection_string, None)
        return open_table_store(settings.table_service_url or "", self._identity)

    @cached_property
    def _settings(self) -> Settings:
        return read(os.environ)

    @cached_property
    def _identity(self) -> TokenCredential:
        # Slow to import, and of no use to an app with connection strings.
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415

        # The host's own triggers take a user-assigned identity from this setting; so do we.
        client_id = os.environ.get(f"{STORAGE}__clientId")
        return DefaultAzureCredential(managed_identity_client_id=client_id)


_process = _Process()


def hub() -> HubGateway:
    """The process's way to the hub. Raises SettingsError."""
    return _process.hub()


def store() -> RolloutStore:
    """The process's store. Raises SettingsError, StorageUnavailableError."""
    return _process.store()


def services() -> Services:
    """Both, as the use cases take them."""
    return Services(hub=hub(), store=store())
