"""Open the hub gateway, the stores and the queue of this process, each at its first use."""

import logging
from collections.abc import Callable
from functools import cached_property
from threading import RLock

from azure.core.credentials import TokenCredential

from functions.dispatch_queue.port import DispatchQueue
from functions.dispatch_queue.storage_queue import open_storage_queue
from functions.errors import SettingsError
from functions.hub_gateway.iot_hub import open_iot_hub
from functions.hub_gateway.port import HubGateway
from functions.last_calls import LastCalls
from functions.rollout_store.ports.rollout_ids import new_rollout_id
from functions.rollout_store.ports.stores import Stores
from functions.rollout_store.table_storage.stores import open_table_stores
from functions.settings import Settings, read_environment
from functions.use_cases.failure_searches import FailureSearches
from functions.use_cases.known_devices import KnownDevices
from functions.use_cases.services import Services

_log = logging.getLogger(__name__)


class _Once[T]:
    """Make a value at the first call and return it at every call. Threads may share it.

    If `make` raises, the next call calls it again.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = RLock()
        self._made: T | None = None

    def __call__(self) -> T:
        if self._made is None:
            with self._lock:
                if self._made is None:
                    self._made = self._make()
        return self._made


class _Process:
    def __init__(self) -> None:
        self.last_calls = LastCalls()
        self.hub: _Once[HubGateway] = _Once(self._open_hub)
        self.stores: _Once[Stores] = _Once(self._open_stores)
        self.known_devices = KnownDevices()
        self.searches = FailureSearches()
        self.queue: _Once[DispatchQueue] = _Once(self._open_queue)

    def _open_hub(self) -> HubGateway:
        settings, last_call = self.settings, self.last_calls.hub
        if settings.hub_connection_string:
            return open_iot_hub(settings.hub_connection_string, None, last_call=last_call)
        return open_iot_hub(settings.hub_hostname or "", self._identity, last_call=last_call)

    def _open_stores(self) -> Stores:
        settings, last_call = self.settings, self.last_calls.tables
        if settings.storage_connection_string:
            return open_table_stores(settings.storage_connection_string, None, last_call)
        return open_table_stores(settings.table_service_url or "", self._identity, last_call)

    def _open_queue(self) -> DispatchQueue:
        settings, last_call = self.settings, self.last_calls.queue
        if settings.storage_connection_string:
            return open_storage_queue(settings.storage_connection_string, None, last_call)
        return open_storage_queue(settings.queue_service_url or "", self._identity, last_call)

    @cached_property
    def settings(self) -> Settings:
        return read_environment()

    @cached_property
    def _identity(self) -> TokenCredential:
        # Slow to import, and not needed with connection strings.
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415

        client_id = self.settings.identity_client_id
        return DefaultAzureCredential(managed_identity_client_id=client_id)


_process = _Process()


def log_settings_error() -> None:
    """Log at start which setting is missing or invalid; each request then says so as well."""
    try:
        read_environment()
    except SettingsError as error:
        _log.error("The app's settings are incomplete or invalid: %s", error)


def hub() -> HubGateway:
    """Return the process's hub gateway. Raises SettingsError, HubUnavailableError."""
    return _process.hub()


def stores() -> Stores:
    """Return the process's stores. Raises SettingsError, StorageUnavailableError."""
    return _process.stores()


def queue() -> DispatchQueue:
    """Return the process's queue of batches. Raises SettingsError."""
    return _process.queue()


def last_calls() -> LastCalls:
    """Return how the process's last calls ended. Opens nothing, and raises nothing."""
    return _process.last_calls


def services() -> Services:
    """Return everything that the use cases need. Raises as `hub` and `stores`."""
    return Services(
        hub=hub(),
        stores=stores(),
        queue=_process.queue(),
        new_id=new_rollout_id,
        known_devices=_process.known_devices,
        searches=_process.searches,
        limits=_process.settings.limits,
    )
