"""Open the hub gateway, the stores and the queue of this process, each at its first use."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from threading import RLock
from typing import Any

from azure.core.credentials import TokenCredential

from functions.dispatch_queue.port import DeliveryQueue, DispatchQueue
from functions.dispatch_queue.storage_queue import (
    open_delivery_queue,
    open_raw_queue,
    open_storage_queue,
)
from functions.dispatch_queue.table_mark import open_table_mark
from functions.errors import SettingsError, TableMissingError
from functions.hub_gateway.iot_hub import open_iot_hub
from functions.hub_gateway.port import HubGateway
from functions.last_calls import LastCalls
from functions.outbound.blob_links import open_blob_links
from functions.outbound.https import HttpsOutbound
from functions.outbound.packages import HttpPackageLookup
from functions.outbound.port import PackageLinks, PackageLookup
from functions.rollout_store.ports.rollout_ids import new_rollout_id
from functions.rollout_store.ports.stores import Stores
from functions.rollout_store.table_storage.stores import open_table_stores
from functions.settings.connections import AppIdentity, Connection
from functions.settings.environment import Settings, read_environment, read_telemetry
from functions.telemetry.port import NO_TELEMETRY, Telemetry
from functions.telemetry.start import start
from functions.use_cases.commit_queue import CommitQueue
from functions.use_cases.failure_searches import FailureSearches
from functions.use_cases.known_devices import KnownDevices
from functions.use_cases.latest_snapshots import LatestSnapshots
from functions.use_cases.quarantine_cache import QuarantineCache
from functions.use_cases.rollout_watch import RolloutWatch
from functions.use_cases.services import Services
from functions.use_cases.tick_times import TickTimes
from functions.use_cases.webhook_ports import EventFeed, WebhookPorts

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


@dataclass(frozen=True, slots=True)
class _Links:
    """What makes links to packages. `_Once` needs a value that is not None."""

    made_by: PackageLinks | None


class _Process:
    def __init__(self) -> None:
        self.last_calls = LastCalls()
        self.telemetry: Telemetry = NO_TELEMETRY
        self._credentials: dict[AppIdentity, TokenCredential] = {}
        self.hub: _Once[HubGateway] = _Once(self._open_hub)
        self.stores: _Once[Stores] = _Once(self._open_stores)
        self.commits: CommitQueue[Any, Any] = CommitQueue()
        self.latest = LatestSnapshots()
        self.known_devices = KnownDevices()
        self.quarantine_cache = QuarantineCache()
        self.watch = RolloutWatch()
        self.tick_times = TickTimes()
        self.searches = FailureSearches()
        self.queue: _Once[DispatchQueue] = _Once(self._open_queue)
        self.feed = EventFeed()
        self.webhooks: _Once[WebhookPorts] = _Once(self._open_webhooks)
        self.package_links: _Once[_Links] = _Once(self._open_package_links)
        self.package_lookup: _Once[PackageLookup] = _Once(self._open_package_lookup)

    def _open_hub(self) -> HubGateway:
        return open_iot_hub(
            *self._sign_in(self.settings.hub),
            last_call=self.last_calls.hub,
            limits=self.settings.limits,
            on_throttled=self.telemetry.count_throttled,
        )

    def _open_stores(self) -> Stores:
        """Open the stores. Create the table at the first deployment only."""
        mark = open_table_mark(*self._sign_in(self.settings.queue), self.last_calls.queue)
        is_first = not mark.is_set()
        stores = self._open_tables(create=is_first)
        if is_first:
            mark.set()
            _log.warning("the table of rollouts was not known yet; it is created if it is missing")
        return stores

    def _open_tables(self, *, create: bool) -> Stores:
        tables = self._sign_in(self.settings.tables)
        return open_table_stores(*tables, self.last_calls.tables, create=create)

    def create_table(self) -> bool:
        was_missing = False
        try:
            self._open_tables(create=False).ping()
        except TableMissingError:
            was_missing = True
            self._open_tables(create=True).ping()
        open_table_mark(*self._sign_in(self.settings.queue)).set()
        return was_missing

    def _open_queue(self) -> DispatchQueue:
        return open_storage_queue(*self._sign_in(self.settings.queue), self.last_calls.queue)

    def put_back(self, name: str, body: bytes, delay_seconds: float) -> None:
        open_raw_queue(name, *self._sign_in(self.settings.queue)).put(body, delay_seconds)

    def _open_webhooks(self) -> WebhookPorts:
        queue: DeliveryQueue = open_delivery_queue(*self._sign_in(self.settings.queue))
        outbound = HttpsOutbound(self.settings.outbound)
        return WebhookPorts(queue=queue, outbound=outbound, public_url=self.settings.public_url)

    def _open_package_links(self) -> "_Links":
        packages = self.settings.packages
        return _Links(open_blob_links(*self._sign_in(packages)) if packages else None)

    def _open_package_lookup(self) -> PackageLookup:
        return HttpPackageLookup(HttpsOutbound(self.settings.outbound))

    def _sign_in(self, connection: Connection) -> tuple[str, TokenCredential | None]:
        """Return the connection string, or the address and the credential for it."""
        if connection.identity is None:
            return connection.connection_string or "", None
        return connection.address, self._credential(connection.identity)

    def _credential(self, identity: AppIdentity) -> TokenCredential:
        """Return the credential of an identity. Connections share it, and so its tokens."""
        if identity not in self._credentials:
            self._credentials[identity] = _make_credential(identity)
        return self._credentials[identity]

    @cached_property
    def settings(self) -> Settings:
        return read_environment()


def _make_credential(identity: AppIdentity) -> TokenCredential:
    # Slow to import, and not needed with connection strings.
    from azure.identity import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415

    if identity.managed_only:
        return ManagedIdentityCredential(client_id=identity.client_id)
    return DefaultAzureCredential(managed_identity_client_id=identity.client_id)


_process = _Process()


def log_settings_error() -> None:
    """Log at start which setting is missing or invalid; each request then says so as well."""
    try:
        read_environment()
    except SettingsError as error:
        _log.error("The app's settings are incomplete or invalid: %s", error)


def start_telemetry() -> None:
    """Start the telemetry of the process, once, if a setting names its destination."""
    _process.telemetry = start(read_telemetry())


def telemetry() -> Telemetry:
    """Return the telemetry of the process. Raises nothing."""
    return _process.telemetry


def hub() -> HubGateway:
    """Return the process's hub gateway. Raises SettingsError, HubUnavailableError."""
    return _process.hub()


def stores() -> Stores:
    """Return the process's stores. Raises SettingsError, StorageUnavailableError."""
    return _process.stores()


def queue() -> DispatchQueue:
    """Return the process's queue of batches. Raises SettingsError."""
    return _process.queue()


def create_table() -> bool:
    """Create the table of rollouts unless it exists; return whether it was missing.

    Raises SettingsError, StorageUnavailableError; TableMissingError while it is being deleted.
    """
    return _process.create_table()


def put_back(queue_name: str, body: bytes, delay_seconds: float) -> None:
    """Put a message back into its queue as it is. Raises SettingsError, StorageUnavailableError."""
    _process.put_back(queue_name, body, delay_seconds)


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
        webhooks=_process.webhooks(),
        package_links=_process.package_links().made_by,
        package_lookup=_process.package_lookup() if _process.settings.checks_packages else None,
        feed=_process.feed,
        commits=_process.commits,
        latest=_process.latest,
        known_devices=_process.known_devices,
        searches=_process.searches,
        quarantine_cache=_process.quarantine_cache,
        watch=_process.watch,
        telemetry=_process.telemetry,
        tick_times=_process.tick_times,
        retention=_process.settings.retention,
        quarantine_rule=_process.settings.quarantine,
        limits=_process.settings.limits,
    )
