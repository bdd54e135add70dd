"""Read and write the queues of a storage account, through azure-storage-queue.

Every error of the SDK is raised as a QueueStorageError with its cause.
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

from simulator import azurite
from simulator.host.errors import SettingsError
from simulator.host.settings import DEFAULT_CONNECTION, connection_setting

if TYPE_CHECKING:
    from azure.storage.queue.aio import QueueClient, QueueServiceClient

_CONNECT_SECONDS = 5
_READ_SECONDS = 30


class QueueStorageError(Exception):
    """The storage service refused a request or could not be reached; a retry may help."""


class QueueMissingError(QueueStorageError):
    """The queue, or the message with this pop receipt, does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A message that was received from a queue; times have a time zone."""

    id: str
    pop_receipt: str
    text: str
    """As stored, not decoded."""
    dequeue_count: int
    inserted_at: datetime | None
    expires_at: datetime | None
    next_visible_at: datetime | None


class StorageQueue:
    """One queue."""

    def __init__(self, name: str, client: "QueueClient") -> None:
        self.name = name
        self.watchers: set[asyncio.Event] = set()
        """Set when this host writes a message to the queue."""
        self._client = client

    async def receive(self, count: int, invisible_seconds: int) -> list[StoredMessage]:
        """Receive up to `count` messages, at most 32. Raises QueueStorageError."""
        async with _translate_errors():
            pages = self._client.receive_messages(
                messages_per_page=count,
                max_messages=count,
                visibility_timeout=invisible_seconds,
                retry_total=0,  # the loop polls again anyway
            ).by_page()
            async for page in pages:
                return [_read_message(message) async for message in page]
        return []

    async def send(self, text: str) -> None:
        """Add a message; create the queue if it is missing. Raises QueueStorageError."""
        try:
            async with _translate_errors():
                await self._client.send_message(text)
        except QueueMissingError:
            await self._create()
            async with _translate_errors():
                await self._client.send_message(text)
        for watcher in self.watchers:
            watcher.set()

    async def delete(self, message_id: str, pop_receipt: str) -> None:
        """Delete a received message. Raises QueueStorageError."""
        async with _translate_errors():
            await self._client.delete_message(message_id, pop_receipt)

    async def hide(self, message_id: str, pop_receipt: str, seconds: float) -> str:
        """Keep a received message invisible for `seconds`; return its new pop receipt.

        Raises QueueStorageError.
        """
        async with _translate_errors():
            updated = await self._client.update_message(
                message_id, pop_receipt, visibility_timeout=round(seconds)
            )
        return updated.pop_receipt or pop_receipt

    async def _create(self) -> None:
        async with _translate_errors():
            with suppress(ResourceExistsError):
                await self._client.create_queue()


class QueueStorage:
    """The queues of the app's triggers, with one client per connection."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings
        self._services: dict[str, QueueServiceClient] = {}
        self._queues: dict[tuple[str, str], StorageQueue] = {}
        self._credentials: list[Any] = []

    def queue(self, connection: str, name: str) -> StorageQueue:
        """Return the queue `name` of a trigger's connection; the same object for the same pair.

        Raises SettingsError if the connection is undefined or malformed.
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
                    f"the connection {connection or DEFAULT_CONNECTION} is no connection string "
                    "and names no service"
                ) from error
        return self._services[connection]

    def _connect(self, setting: Mapping[str, str]) -> "QueueServiceClient":
        # Takes a third of a second, which an app without queues need not wait for.
        from azure.storage.queue import aio  # noqa: PLC0415

        # The SDK's own pauses of 15 s and more are too long for a developer.
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
            text = azurite.connection_string()
        return aio.QueueServiceClient.from_connection_string(text, **options)


def _identity(setting: Mapping[str, str]) -> tuple[str, Any]:
    """Return URL and credential of an identity-based connection. Raises KeyError for no URL."""
    from azure.identity import aio as identity  # noqa: PLC0415 - slow to import, seldom needed

    url = setting.get("queueServiceUri") or setting.get("serviceUri")
    if url is None:
        url = f"https://{setting['accountName']}.queue.core.windows.net"
    if setting.get("credential", "").lower() == "managedidentity":
        return url, identity.ManagedIdentityCredential(client_id=setting.get("clientId"))
    return url, identity.DefaultAzureCredential()


@asynccontextmanager
async def _translate_errors() -> AsyncIterator[None]:
    try:
        yield
    except ResourceNotFoundError as error:
        raise QueueMissingError(_reason(error)) from error
    except AzureError as error:
        raise QueueStorageError(_reason(error)) from error


def _reason(error: AzureError) -> str:
    """Return the reason in one line, without the request's URL or headers."""
    if isinstance(error, ClientAuthenticationError):
        return "the storage account refused the credential"
    if isinstance(error, HttpResponseError) and error.status_code is not None:
        return f"{error.status_code} {getattr(error, 'error_code', None) or error.reason}"
    return str(error.message).partition("\n")[0]


def _read_message(message: Any) -> StoredMessage:
    return StoredMessage(
        id=message.id,
        pop_receipt=message.pop_receipt,
        text=message.content or "",
        dequeue_count=int(message.dequeue_count or 0),
        inserted_at=message.inserted_on,
        expires_at=message.expires_on,
        next_visible_at=message.next_visible_on,
    )
