"""Queue batches and deliveries on Azure Storage. Only this package uses azure-storage-queue.

An output binding cannot delay a message. The tick spreads its batches over the time until the next
tick, to use the hub's quotas evenly. So it writes its messages itself.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.queue import LinearRetry, QueueClient, TextBase64EncodePolicy

from functions.connections import storage_session
from functions.dispatch_queue import messages
from functions.dispatch_queue.port import Batch, Delivery
from functions.errors import SettingsError, StorageUnavailableError
from functions.last_calls import LastCall

QUEUE = "rollout-dispatch"
# Failures after which the host moves a message to the poison queue, as in host.json.
MAX_DEQUEUE_COUNT = 5
POISON_QUEUE = f"{QUEUE}-poison"
DELIVERY_QUEUE = "rollout-webhooks"
# Metadata of the queue of batches: the table of rollouts was created, see `table_mark`.
MARK = {"tablecreated": "true"}
CONNECT_SECONDS = 5
READ_SECONDS = 20
# The SDK's default pauses add up to more than a minute, too long for one message of a tick.
RETRIES = 2
PAUSE_SECONDS = 1


def open_storage_queue(
    source: str, credential: TokenCredential | None, last_call: LastCall | None = None
) -> "StorageQueue[Batch]":
    """Open the queue of batches.

    `source` is a connection string or, with a credential, the URL of a queue service.

    The queue records in `last_call` whether the service responds. Raises SettingsError.
    """
    client = open_client(QUEUE, source, credential)
    return StorageQueue(client, messages.to_text, last_call, MARK)


def open_delivery_queue(
    source: str, credential: TokenCredential | None
) -> "StorageQueue[Delivery]":
    """Open the queue of deliveries, as `open_storage_queue` does."""
    client = open_client(DELIVERY_QUEUE, source, credential)
    return StorageQueue(client, messages.delivery_to_text)


def open_raw_queue(
    name: str, source: str, credential: TokenCredential | None
) -> "StorageQueue[bytes]":
    """Open a queue to put messages back that cannot be read, as `open_storage_queue` does."""
    return StorageQueue(open_client(name, source, credential), bytes.decode)


def open_client(name: str, source: str, credential: TokenCredential | None) -> QueueClient:
    options: dict[str, Any] = {
        # What the host's trigger expects (host.json, `messageEncoding`).
        "message_encode_policy": TextBase64EncodePolicy(),
        "connection_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        "transport": RequestsTransport(session=storage_session()),
        "retry_policy": LinearRetry(PAUSE_SECONDS, RETRIES, random_jitter_range=0),
    }
    try:
        if credential:
            return QueueClient(source, name, credential=credential, **options)
        return QueueClient.from_connection_string(source, name, **options)
    except ValueError:
        # Without the cause: the SDK's message may repeat the string, which contains a key.
        raise SettingsError("AzureWebJobsStorage is not a storage connection string") from None


class StorageQueue[T]:
    """Implement `port.DispatchQueue` and `port.DeliveryQueue`. Threads may share it."""

    def __init__(
        self,
        client: QueueClient,
        to_text: Callable[[T], str],
        last_call: LastCall | None = None,
        metadata: dict[str, str] | None = None,
    ) -> None:
        """Use a queue. It gets `metadata` when it is created."""
        self._client = client
        self._to_text = to_text
        self._last_call = last_call or LastCall()
        self._metadata = metadata

    def put(self, item: T, delay_seconds: float, /) -> None:
        text, delay = self._to_text(item), max(0, math.floor(delay_seconds))
        with storage_errors(self._last_call):
            try:
                self._client.send_message(text, visibility_timeout=delay)
            except HttpResponseError as error:
                if not is_queue_missing(error):
                    raise
                with suppress(ResourceExistsError):
                    self._client.create_queue(metadata=self._metadata)
                self._client.send_message(text, visibility_timeout=delay)

    def ping(self) -> None:
        with storage_errors(self._last_call):
            try:
                self._client.get_queue_properties()
            except HttpResponseError as error:
                if not is_queue_missing(error):  # the first message creates it
                    raise


def is_queue_missing(error: HttpResponseError) -> bool:
    return getattr(error, "error_code", None) == "QueueNotFound"


@contextmanager
def storage_errors(last_call: LastCall) -> Iterator[None]:
    """Raise StorageUnavailableError instead of every error of the SDK, and record the outcome."""
    try:
        yield
        last_call.record(responded=True)
    except AzureError as error:
        last_call.record(responded=False)
        raise StorageUnavailableError(_describe(error)) from error


_REFUSALS = frozenset({401, 403})


def _describe(error: AzureError) -> str:
    status = getattr(error, "status_code", None)
    if status in _REFUSALS:
        return (
            f"Queue Storage refuses this app ({status}). Check its role on the storage account"
            " (Storage Queue Data Contributor) or its key, and the account's firewall."
        )
    return "Queue Storage cannot be reached."
