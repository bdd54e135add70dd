"""Run one queue function: receive messages, invoke, then delete or return them.

Up to batchSize messages are received at once, and the next ones when newBatchThreshold or fewer are
running. A received message is invisible for 10 minutes; while its function runs, that time is
renewed every 5 minutes. An empty or missing queue is polled again after a growing pause, or at once
if this host has written to it. Source: azure-webjobs-sdk, `QueueListener`, `QueueProcessor` and
`RandomizedExponentialBackoffStrategy`.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass

from simulator.host.bindings import AppFunction
from simulator.host.host_json import QueueOptions
from simulator.host.invoker import Invoker
from simulator.host.queue_messages import decode_body, message_datum, trigger_metadata
from simulator.host.queue_storage import (
    QueueMissingError,
    QueueStorageError,
    StorageQueue,
    StoredMessage,
)

logger = logging.getLogger("host")

_INVISIBLE_SECONDS = 600
_SHORTEST_PAUSE_SECONDS = 0.1


class QueueListener:
    """The loop of one queue function."""

    def __init__(
        self,
        function: AppFunction,
        queue: StorageQueue,
        invoker: Invoker,
        *,
        poison: StorageQueue | None,
        options: QueueOptions,
        invisible_seconds: int = _INVISIBLE_SECONDS,
        pause: "Pause | None" = None,
    ) -> None:
        """Poll `queue`. If `poison` is None, failed messages become visible again later."""
        self._function = function
        self._queue = queue
        self._poison = poison
        self._invoker = invoker
        self._options = options
        self._invisible_seconds = invisible_seconds
        self._pause = pause or Pause(options.max_polling_interval_seconds)
        self._awake = asyncio.Event()
        self._running = 0
        self._stopping = False
        self._unreachable = False

    async def run(self) -> None:
        """Poll until `stop`; return when the received messages are done."""
        self._queue.watchers.add(self._awake)
        async with asyncio.TaskGroup() as messages:
            while not self._stopping:
                self._awake.clear()
                if self._running > self._options.new_batch_threshold:
                    await self._awake.wait()
                    continue
                received = await self._receive()
                self._running += len(received)
                for message in received:
                    messages.create_task(self._process(message))
                if received:
                    self._pause.reset()
                else:
                    await self._wait(self._pause.next())

    def stop(self) -> None:
        """Receive no more messages."""
        self._stopping = True
        self._awake.set()

    async def _receive(self) -> list[StoredMessage]:
        """Return a batch. Return no message on any error, so that the loop never ends by itself."""
        try:
            received = await self._queue.receive(self._options.batch_size, self._invisible_seconds)
        except QueueMissingError:
            return []  # the trigger does not create its queue
        except Exception as error:  # noqa: BLE001
            if not self._unreachable:
                logger.warning("Queue %s cannot be read; trying again: %s", self._queue.name, error)
            self._unreachable = True
            return []
        self._unreachable = False
        return received

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._awake.wait()

    async def _process(self, message: StoredMessage) -> None:
        try:
            await self._handle(message)
        except Exception as error:  # noqa: BLE001 - the message becomes visible again
            logger.error(  # noqa: TRY400 - a refused request needs no stack trace
                "Message %s of queue %s could not be settled; it becomes visible again: %s",
                message.id,
                self._queue.name,
                error,
            )
        finally:
            self._running -= 1
            self._awake.set()

    async def _handle(self, message: StoredMessage) -> None:
        body = decode_body(message.text)
        if body is None or message.dequeue_count > self._options.max_dequeue_count:
            await self._move_to_poison(message, message.pop_receipt)
            return
        value = message_datum(body)
        async with _keep_invisible(self._queue, message, self._invisible_seconds) as receipt:
            outcome = await self._invoker.run(
                self._function,
                f"New queue message detected on '{self._queue.name}'.",
                value,
                trigger_metadata(message, value),
            )
        if outcome.ok:
            await self._delete(message, receipt.current)
        elif message.dequeue_count >= self._options.max_dequeue_count:
            await self._move_to_poison(message, receipt.current)
        else:
            await self._queue.hide(
                message.id, receipt.current, self._options.visibility_timeout_seconds
            )

    async def _delete(self, message: StoredMessage, pop_receipt: str) -> None:
        with contextlib.suppress(QueueMissingError):  # the message or the queue was deleted
            await self._queue.delete(message.id, pop_receipt)

    async def _move_to_poison(self, message: StoredMessage, pop_receipt: str) -> None:
        if self._poison is None:
            return
        logger.warning(
            "Message %s of queue %s (taken %d times) moves to %s",
            message.id,
            self._queue.name,
            message.dequeue_count,
            self._poison.name,
        )
        await self._poison.send(message.text)
        await self._delete(message, pop_receipt)


class Pause:
    """The growing, randomized pause between polls of an empty queue."""

    def __init__(self, longest: float, source: random.Random | None = None) -> None:
        self._longest = longest
        self._random = source or random.Random()
        self._base = _SHORTEST_PAUSE_SECONDS

    def next(self) -> float:
        """Return this time's pause in seconds; the next one is about twice as long."""
        seconds = min(self._base * self._random.uniform(0.8, 1.2), self._longest)
        self._base = min(self._base * 2, self._longest)
        return max(seconds, min(_SHORTEST_PAUSE_SECONDS, self._longest))

    def reset(self) -> None:
        """Start from the shortest pause again."""
        self._base = _SHORTEST_PAUSE_SECONDS


@dataclass(slots=True)
class _PopReceipt:
    """The receipt that deletes or hides a message; each renewal changes it."""

    current: str


@contextlib.asynccontextmanager
async def _keep_invisible(
    queue: StorageQueue, message: StoredMessage, seconds: int
) -> AsyncIterator[_PopReceipt]:
    """Renew a message at half its invisible time, until the block ends."""
    receipt = _PopReceipt(message.pop_receipt)
    done = asyncio.Event()

    async def renew() -> None:
        while not done.is_set():
            try:
                async with asyncio.timeout(seconds / 2):
                    await done.wait()
            except TimeoutError:
                try:
                    receipt.current = await queue.hide(message.id, receipt.current, seconds)
                except QueueStorageError as error:
                    logger.warning("Message %s was not renewed: %s", message.id, error)

    renewal = asyncio.create_task(renew())
    try:
        yield receipt
    finally:
        done.set()
        await renewal
