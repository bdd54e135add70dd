"""Queue output bindings: what a function has set is sent after it has returned.

The queue is created when it is missing. A failure is raised, and fails the invocation.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from simulator.host.bindings import AppFunction, QueueOutput
from simulator.host.queue_messages import encode_body, messages_of
from simulator.host.queue_storage import QueueStorage

# Requests of one invocation that are under way at once.
_PARALLEL_SENDS = 16


class QueueOutputs:
    """Sends the values of queue outputs."""

    def __init__(self, storage: QueueStorage, *, base64: bool) -> None:
        self._storage = storage
        self._base64 = base64

    def check_connections(self, functions: Iterable[AppFunction]) -> None:
        """Raise SettingsError now, not at the first message, for an undefined connection."""
        for function in functions:
            for output in function.outputs:
                self._storage.queue(output.connection, output.queue)

    async def send(self, output: QueueOutput, value: Any) -> None:
        """Send the messages that an output's Datum stands for.

        Raises QueueStorageError, and ValueError for what is no message.
        """
        if value.type is None:  # the function returned or set nothing
            return
        queue = self._storage.queue(output.connection, output.queue)
        texts = [encode_body(body, base64_encoded=self._base64) for body in messages_of(value)]
        if len(texts) == 1:
            await queue.send(texts[0])
            return
        free = asyncio.Semaphore(_PARALLEL_SENDS)

        async def send_one(text: str) -> None:
            async with free:
                await queue.send(text)

        results = await asyncio.gather(*map(send_one, texts), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
