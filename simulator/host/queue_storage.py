"""Queues of a storage account: the only module that knows azure-storage-queue.

Every failure of the SDK leaves as a QueueStorageError with its cause.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)

from simulator.host.errors import SettingsError
from simulator.host.settings import connection_setting

if TYPE_CHECKING:
    from azure.storage.queue.aio import QueueClient, QueueServiceClient

# The emulator's well-known account: public, and valid nowhere else
# (Microsoft Learn, "Use the Azurite emulator", section "Well-known storage account and key").
_DEVELOPMENT_STORAGE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/"
    "KBHBeksoGMGw==;QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
)
_CONNECT_SECONDS = 5
_READ_SECONDS = 30


class QueueStorageError(Exception):
    """The storage service refused a request or was not reached; asking again may help."""


class QueueMissingError(QueueStorageError):
    """The queue, or the message with this pop receipt, does not exist (any more)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A message that was taken from a queue; `text` is as stored, times are aware."""

    id: str
    pop_receipt: str
    text: str
    dequeue_count: int
    inserted_at: datetime | None
    expires_at: datetime | None
    next_visible_at: datetime | None


class StorageQueue:
    """One queue. `watchers` are set when this host writes a message to it."""

    def __init__(self, name: str, client: "QueueClient") -> None:
        self.name = name
        self.watchers: set[asyncio.Event] = set()
        self._client = client
        self._creating = asyncio.Lock()

    async def receive(self, count: int, invisible_seconds: int) -> list[StoredMessage]:
        """Take up to `count` (at most 32) messages. Raises QueueStorageError."""
        async with _translated():
            pages = self._client.receive_messages(
                messages_per_page=count,
                max_messages=count,
                visibility_timeout=invisible_seconds,
                retry_total=0,  # the poll loop asks again anyway
            ).by_page()
            async for page in pages:
                return [_stored(message) async for message in page]
        return []

    async def send(self, text: str) -> None:
        """Add a message, creating the queue when it is missing. Raises QueueStorageError."""
        try:
            async with _translated():
                await self._client.send_message(text)
        except QueueMissingError:
            await self._create()
            async with _translated():
                await self._client.send_message(text)
        for watcher in self.watchers:
            watcher.set()

    async def delete(self, message_id: str, pop_receipt: str) -> None:
        """Remove a taken message for good. Raises QueueStorageError."""
        async with _translated():
            await self._client.delete_message(message_id, pop_receipt)

    async def hide(self, message_id: str, pop_receipt: str, seconds: float) -> str:
        """Keep a taken message invisible for `seconds` from now; gives its new pop receipt.

        Raises QueueStorageError.
        """
        async with _translated():
            updated = await self._client.update_message(
                message_id, pop_receipt, visibility_timeout=round(seconds)
            )
        return updated.pop_receipt or pop_receipt

    async def _create(self) -> None:
        """Parallel first writers create the queue once; one that exists already is fine."""
        async with self._creating, _translated():
            with suppress(ResourceExistsError):
                await self._client.create_queue()


class QueueStorage:
    """The queues that the app's bindings name, one client per connection."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings
        self._services: dict[str, QueueServiceClient] = {}
        self._queues: dict[tuple[str, str], StorageQueue] = {}
        self._credentials: list[Any] = []

    def queue(self, connection: str, name: str) -> StorageQueue:
        """The queue `name` of a binding's connection; the same object for the same pair.

        Raises SettingsError when the connection is not defined or not understood.
        """
        known = self._queues.get((connection, name))
        if known is None:
            service = self._service(connection)
            known = StorageQueue(name, service.get_queue_client(name))
            self._queues[connection, name] = known
        return known

    async def close(self) -> None:
        """Close every client."""
        for service in self._services.values():
            await service.close()
        for credential in self._credentials:
            await credential.close()

    def _service(self, connection: str) -> "QueueServiceClient":
        if connection not in self._services:
            setting = connection_setting(connection, self._settings)
            try:
                self._services[connection] = self._connect(setting)
            except (ValueError, KeyError) as error:
                raise SettingsError(
                    f"the connection {connection or 'AzureWebJobsStorage'} is not understood"
                ) from error
        return self._services[connection]

    def _connect(self, setting: Mapping[str, str]) -> "QueueServiceClient":
        # A third of a second that the start of an app without queues does not have to wait.
        from azure.storage.queue import aio  # noqa: PLC0415

        # The SDK's own pauses of 15 s and more would outlast a developer's patience.
        options: dict[str, Any] = {
            "initial_backoff": 1,
            "increment_base": 1,
            "random_jitter_range": 1,
            "retry_total": 2,
            "connection_timeout": _CONNECT_SECONDS,
            "read_timeout": _READ_SECONDS,
        }
        text = setting.get("")
        if text is None:
            url, credential = _identity(setting)
            self._credentials.append(credential)
            return aio.QueueServiceClient(url, credential=credential, **options)
        if text.strip().rstrip(";").lower() == "usedevelopmentstorage=true":
            text = _DEVELOPMENT_STORAGE
        return aio.QueueServiceClient.from_connection_string(text, **options)


def _identity(setting: Mapping[str, str]) -> tuple[str, Any]:
    """Service URL and credential of an identity-based connection. KeyError: no URL in it."""
    from azure.identity import aio as identity  # noqa: PLC0415 - slow to import, seldom needed

    url = setting.get("queueServiceUri") or setting.get("serviceUri")
    if url is None:
        url = f"https://{setting['accountName']}.queue.core.windows.net"
    if setting.get("credential", "").lower() == "managedidentity":
        return url, identity.ManagedIdentityCredential(client_id=setting.get("clientId"))
    return url, identity.DefaultAzureCredential()


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    try:
        yield
    except ResourceNotFoundError as error:
        raise QueueMissingError(_reason(error)) from error
    except AzureError as error:
        raise QueueStorageError(_reason(error)) from error


def _reason(error: AzureError) -> str:
    """One line without the request's URL or headers."""
    if isinstance(error, ClientAuthenticationError):
        return "the storage account refused the credential"
    if isinstance(error, HttpResponseError) and error.status_code is not None:
        return f"{error.status_code} {getattr(error, 'error_code', None) or error.reason}"
    return str(error.message).partition("\n")[0]


def _stored(message: Any) -> StoredMessage:
    return StoredMessage(
        id=message.id,
        pop_receipt=message.pop_receipt,
        text=message.content or "",
        dequeue_count=int(message.dequeue_count or 0),
        inserted_at=message.inserted_on,
        expires_at=message.expires_on,
        next_visible_at=message.next_visible_on,
    )
