"""Queue batches on Azure Storage. Only this module uses azure-storage-queue.

An output binding cannot delay a message. The tick spreads its batches over the time until the next
tick, to use the hub's quotas evenly. So it writes its messages itself.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.queue import LinearRetry, QueueClient, TextBase64EncodePolicy

from functions.connections import storage_session
from functions.dispatch_queue import messages
from functions.dispatch_queue.port import Batch
from functions.errors import SettingsError, StorageUnavailableError
from functions.last_calls import LastCall

QUEUE = "rollout-dispatch"
# Failures after which the host moves a message to the poison queue, as in host.json.
MAX_DEQUEUE_COUNT = 5
POISON_QUEUE = f"{QUEUE}-poison"
CONNECT_SECONDS = 5
READ_SECONDS = 20
# The SDK's default pauses add up to more than a minute, too long for one message of a tick.
RETRIES = 2
PAUSE_SECONDS = 1


def open_storage_queue(
    source: str, credential: TokenCredential | None, last_call: LastCall | None = None
) -> "StorageQueue":
    """Open the queue at a connection string or, with a credential, at a queue service's URL.

    The queue records in `last_call` whether the service responds. Raises SettingsError.
    """
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
            client = QueueClient(source, QUEUE, credential=credential, **options)
        else:
            client = QueueClient.from_connection_string(source, QUEUE, **options)
    except ValueError:
        # Without the cause: the SDK's message may repeat the string, which contains a key.
        raise SettingsError("AzureWebJobsStorage is not a storage connection string") from None
    return StorageQueue(client, last_call)


class StorageQueue:
    """Implement `port.DispatchQueue`. Threads may share it."""

    def __init__(self, client: QueueClient, last_call: LastCall | None = None) -> None:
        self._client = client
        self._last_call = last_call or LastCall()

    def put(self, batch: Batch, delay_seconds: float) -> None:
        text, delay = messages.to_text(batch), max(0, math.floor(delay_seconds))
        with _storage_errors(self._last_call):
            try:
                self._client.send_message(text, visibility_timeout=delay)
            except HttpResponseError as error:
                if not _queue_is_missing(error):
                    raise
                with suppress(ResourceExistsError):
                    self._client.create_queue()
                self._client.send_message(text, visibility_timeout=delay)

    def ping(self) -> None:
        with _storage_errors(self._last_call):
            try:
                self._client.get_queue_properties()
            except HttpResponseError as error:
                if not _queue_is_missing(error):  # the first batch creates it
                    raise


def _queue_is_missing(error: HttpResponseError) -> bool:
    return getattr(error, "error_code", None) == "QueueNotFound"


@contextmanager
def _storage_errors(last_call: LastCall) -> Iterator[None]:
    """Raise StorageUnavailableError instead of every error of the SDK, and record the outcome."""
    try:
        yield
        last_call.record(responded=True)
    except AzureError as error:
        last_call.record(responded=False)
        raise StorageUnavailableError("Queue Storage cannot be reached.") from error
