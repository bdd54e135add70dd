"""Runs one queue function: takes messages, invokes, deletes or gives back, moves to poison.

Up to batchSize messages are taken at once, again as soon as no more than newBatchThreshold still
run. A taken message is invisible for ten minutes and renewed at half of that while its function
runs. An empty queue, or a missing one, is asked again after a growing pause, at once when this
host has written to it. Source: azure-webjobs-sdk, `QueueListener`, `QueueProcessor` and
`RandomizedExponentialBackoffStrategy`.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass

from simulator.host.bindings import AppFunction, QueueTrigger
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
    """One queue function's loop."""

    def __init__(
        self,
        function: AppFunction,
        trigger: QueueTrigger,
        queue: StorageQueue,
        invoker: Invoker,
        *,
        poison: StorageQueue | None,
        options: QueueOptions,
        invisible_seconds: int = _INVISIBLE_SECONDS,
        pause: "Pause | None" = None,
    ) -> None:
        """`poison` None: failed messages stay invisible until their time is over."""
        self._function = function
        self._trigger = trigger
        self._queue = queue
        self._poison = poison
        self._invoker = invoker
        self._options = options
        self._invisible_seconds = invisible_seconds
        self._pause = pause or Pause(options.max_polling_interval_seconds)
        self._awake = asyncio.Event()
        self._under_way = 0
        self._stopping = False
        self._unreachable = False

    async def run(self) -> None:
        """Poll until `stop`; returns when the messages that were taken are done."""
        self._queue.watchers.add(self._awake)
        async with asyncio.TaskGroup() as messages:
            while not self._stopping:
                self._awake.clear()
                if self._under_way > self._options.new_batch_threshold:
                    await self._awake.wait()
                    continue
                taken = await self._receive()
                self._under_way += len(taken)
                for message in taken:
                    messages.create_task(self._process(message))
                if taken:
                    self._pause.reset()
                else:
                    await self._wait(self._pause.next())

    def stop(self) -> None:
        """Take no more messages."""
        self._stopping = True
        self._awake.set()

    async def _receive(self) -> list[StoredMessage]:
        """A batch; empty for whatever goes wrong, because this loop must never end by itself."""
        try:
            taken = await self._queue.receive(self._options.batch_size, self._invisible_seconds)
        except QueueMissingError:
            return []  # the trigger does not create its queue
        except Exception as error:  # noqa: BLE001
            if not self._unreachable:
                logger.warning("Queue %s cannot be read, trying on: %s", self._queue.name, error)
            self._unreachable = True
            return []
        self._unreachable = False
        return taken

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._awake.wait()

    async def _process(self, message: StoredMessage) -> None:
        try:
            await self._handle(message)
        except Exception as error:  # noqa: BLE001 - the message comes back, the loop goes on
            logger.error(  # noqa: TRY400 - a refused request needs no stack trace
                "Message %s of queue %s was not settled and will be seen again: %s",
                message.id,
                self._queue.name,
                error,
            )
        finally:
            self._under_way -= 1
            self._awake.set()

    async def _handle(self, message: StoredMessage) -> None:
        body = decode_body(message.text, base64_encoded=self._options.base64)
        if body is None or message.dequeue_count > self._options.max_dequeue_count:
            await self._move_to_poison(message, message.pop_receipt)
            return
        value = message_datum(body, binary=self._trigger.binary)
        async with _kept_invisible(self._queue, message, self._invisible_seconds) as lease:
            outcome = await self._invoker.run(
                self._function,
                f"New queue message detected on '{self._queue.name}'.",
                value,
                trigger_metadata(message, value),
            )
        if outcome.ok:
            await self._delete(message, lease.pop_receipt)
        elif message.dequeue_count >= self._options.max_dequeue_count:
            await self._move_to_poison(message, lease.pop_receipt)
        else:
            await self._queue.hide(
                message.id, lease.pop_receipt, self._options.visibility_timeout_seconds
            )

    async def _delete(self, message: StoredMessage, pop_receipt: str) -> None:
        with contextlib.suppress(QueueMissingError):  # someone else has removed it, or the queue
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
    """The growing, randomized pause between polls of an empty queue, in seconds."""

    def __init__(self, longest: float, source: random.Random | None = None) -> None:
        self._longest = longest
        self._random = source or random.Random()
        self._base = _SHORTEST_PAUSE_SECONDS

    def next(self) -> float:
        """This time's pause; the next one is about twice as long."""
        seconds = min(self._base * self._random.uniform(0.8, 1.2), self._longest)
        self._base = min(self._base * 2, self._longest)
        return max(seconds, min(_SHORTEST_PAUSE_SECONDS, self._longest))

    def reset(self) -> None:
        """Start from the shortest pause again."""
        self._base = _SHORTEST_PAUSE_SECONDS


@dataclass(slots=True)
class _Lease:
    """The right to settle a message: it changes hands with every renewal."""

    pop_receipt: str


@contextlib.asynccontextmanager
async def _kept_invisible(
    queue: StorageQueue, message: StoredMessage, seconds: int
) -> AsyncIterator[_Lease]:
    """Renew a message at half its invisible time; the lease is settled when the block ends."""
    lease = _Lease(message.pop_receipt)
    done = asyncio.Event()

    async def renew() -> None:
        while not done.is_set():
            try:
                async with asyncio.timeout(seconds / 2):
                    await done.wait()
            except TimeoutError:
                try:
                    lease.pop_receipt = await queue.hide(message.id, lease.pop_receipt, seconds)
                except QueueStorageError as error:
                    logger.warning("Message %s was not renewed: %s", message.id, error)

    renewal = asyncio.create_task(renew())
    try:
        yield lease
    finally:
        done.set()
        await renewal
