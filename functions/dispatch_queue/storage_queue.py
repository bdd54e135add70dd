"""The queue on Azure Storage; the one place that knows azure-storage-queue.

An output binding cannot say when a message becomes visible, and spreading batches over a tick's
interval is what keeps the hub's quotas even. So the timer writes its messages itself.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError
from azure.storage.queue import LinearRetry, QueueClient, TextBase64EncodePolicy

from functions.dispatch_queue import messages
from functions.dispatch_queue.port import Batch
from functions.errors import SettingsError, StorageUnavailableError

QUEUE = "rollout-dispatch"
# Where the host puts a message that failed as often as host.json allows.
POISON_QUEUE = f"{QUEUE}-poison"
CONNECT_SECONDS = 5
READ_SECONDS = 20
# The SDK's own pauses add up to more than a minute: longer than a tick may hang on one message.
RETRIES = 2
PAUSE_SECONDS = 1


def open_storage_queue(source: str, credential: TokenCredential | None) -> "StorageQueue":
    """The queue at `source`: a connection string or, with a credential, the URL of a queue service.

    Raises SettingsError.
    """
    options: dict[str, Any] = {
        # The host's trigger takes nothing else (host.json, messageEncoding).
        "message_encode_policy": TextBase64EncodePolicy(),
        "connection_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        "retry_policy": LinearRetry(PAUSE_SECONDS, RETRIES, random_jitter_range=0),
    }
    try:
        if credential:
            return StorageQueue(QueueClient(source, QUEUE, credential=credential, **options))
        return StorageQueue(QueueClient.from_connection_string(source, QUEUE, **options))
    except ValueError:
        # Without its cause: the SDK's message may hold the string, and the string holds a key.
        raise SettingsError("AzureWebJobsStorage is not a storage connection string") from None


class StorageQueue:
    """Implements `port.DispatchQueue`; safe to share between threads."""

    def __init__(self, client: QueueClient) -> None:
        self._client = client

    def put(self, batch: Batch, delay_seconds: float) -> None:
        text, delay = messages.to_text(batch), max(0, math.floor(delay_seconds))
        with _storage_errors():
            try:
                self._client.send_message(text, visibility_timeout=delay)
            except HttpResponseError as error:
                if error.error_code != "QueueNotFound":  # type: ignore[attr-defined]
                    raise
                with suppress(ResourceExistsError):
                    self._client.create_queue()
                self._client.send_message(text, visibility_timeout=delay)


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except AzureError as error:
        raise StorageUnavailableError("Queue Storage cannot be reached.") from error
