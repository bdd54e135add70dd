"""Remember that the table of rollouts was created, in the metadata of the queue of batches.

A restart must not create a table that vanished: an empty one would hide that its rollouts are lost,
and devices would be updated again. The mark is in another service than the table, so that it stays
when the table goes.
"""

from contextlib import suppress

from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.storage.queue import QueueClient

from functions.dispatch_queue.storage_queue import (
    MARK,
    QUEUE,
    is_queue_missing,
    open_client,
    storage_errors,
)
from functions.last_calls import LastCall


def open_table_mark(
    source: str, credential: TokenCredential | None, last_call: LastCall | None = None
) -> "TableMark":
    """Open the mark, as `open_storage_queue` opens the queue. Raises SettingsError."""
    return TableMark(open_client(QUEUE, source, credential), last_call)


class TableMark:
    """Methods raise StorageUnavailableError."""

    def __init__(self, client: QueueClient, last_call: LastCall | None = None) -> None:
        self._client = client
        self._last_call = last_call or LastCall()

    def is_set(self) -> bool:
        """Return whether the table was created before."""
        with storage_errors(self._last_call):
            try:
                metadata = self._client.get_queue_properties().metadata or {}
            except HttpResponseError as error:
                if not is_queue_missing(error):
                    raise
                return False
        return MARK.items() <= metadata.items()

    def set(self) -> None:
        """Remember that the table was created. Create the queue if it is missing."""
        with storage_errors(self._last_call):
            with suppress(ResourceExistsError):
                self._client.create_queue(metadata=MARK)
            metadata = self._client.get_queue_properties().metadata or {}
            self._client.set_queue_metadata({**metadata, **MARK})
