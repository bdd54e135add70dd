"""The queue loop against a queue in memory: what takes too long with the real service."""

import asyncio
import base64
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from simulator.host.bindings import AppFunction, QueueTrigger
from simulator.host.errors import SettingsError
from simulator.host.host_json import QueueOptions
from simulator.host.queue_listener import Pause, QueueListener
from simulator.host.queue_storage import (
    QueueMissingError,
    QueueStorage,
    QueueStorageError,
    StoredMessage,
)
from simulator.host.worker import Outcome

TRIGGER = QueueTrigger(parameter="msg", queue="work", connection="")
FUNCTION = AppFunction(name="f", id="id", trigger=TRIGGER, disabled=False)
DONE = Outcome(ok=True)
FAILED = Outcome(ok=False, error="on purpose")


@dataclass
class MemoryQueue:
    """Returns waiting messages; records what is done with them."""

    name: str = "work"
    waiting: list[StoredMessage] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    settled: list[tuple[Any, ...]] = field(default_factory=list)
    polls: list[int] = field(default_factory=list)
    watchers: set[asyncio.Event] = field(default_factory=set)

    async def receive(self, count: int, invisible_seconds: int) -> list[StoredMessage]:
        del invisible_seconds
        self.polls.append(count)
        if self.failures:
            raise self.failures.pop(0)
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return taken

    async def send(self, text: str) -> None:
        self.settled.append(("sent", text))

    async def delete(self, message_id: str, pop_receipt: str) -> None:
        self.settled.append(("deleted", message_id, pop_receipt))

    async def hide(self, message_id: str, pop_receipt: str, seconds: float) -> str:
        self.settled.append(("hidden", message_id, seconds))
        return pop_receipt + "+"


@dataclass
class ScriptedInvoker:
    """Returns an outcome after `seconds`; counts runs at the same time."""

    outcome: Outcome = DONE
    seconds: float = 0
    runs: int = 0
    at_once: int = 0
    most_at_once: int = 0

    async def run(self, *_: Any, **__: Any) -> Outcome:
        self.runs += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.seconds)
        self.at_once -= 1
        return self.outcome


def message(text: str = "hello", *, number: int = 1, count: int = 1) -> StoredMessage:
    return StoredMessage(
        id=str(number),
        pop_receipt="r",
        text=base64.b64encode(text.encode()).decode(),
        dequeue_count=count,
        inserted_at=None,
        expires_at=None,
        next_visible_at=None,
    )


def drive(
    queue: MemoryQueue,
    invoker: ScriptedInvoker,
    until: Callable[[], object],
    *,
    poison: MemoryQueue | None = None,
    options: QueueOptions | None = None,
    invisible_seconds: int = 600,
    pause: Pause | None = None,
) -> None:
    """Run a listener until a condition holds, then stop it and wait for its end."""

    async def main() -> None:
        listener = QueueListener(
            FUNCTION,
            queue,  # type: ignore[arg-type]  # has the same methods
            invoker,  # type: ignore[arg-type]
            poison=poison,  # type: ignore[arg-type]
            options=options or QueueOptions(),
            invisible_seconds=invisible_seconds,
            pause=pause,
        )
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            group.create_task(listener.run())
            while not until():  # noqa: ASYNC110 - any condition, not only an event
                await asyncio.sleep(0.005)
            listener.stop()

    asyncio.run(main())


def test_a_message_that_succeeds_is_deleted() -> None:
    queue = MemoryQueue(waiting=[message()])
    drive(queue, ScriptedInvoker(), lambda: queue.settled)
    assert queue.settled == [("deleted", "1", "r")]


def test_a_message_that_fails_becomes_visible_after_the_visibility_timeout() -> None:
    queue = MemoryQueue(waiting=[message(count=4)])
    options = QueueOptions(visibility_timeout_seconds=30)
    drive(queue, ScriptedInvoker(FAILED), lambda: queue.settled, options=options)
    assert queue.settled == [("hidden", "1", 30)]


def test_a_failure_at_the_maximum_goes_to_poison_and_one_above_it_does_not_even_run() -> None:
    for count, runs in ((5, 1), (6, 0)):
        queue, poison = MemoryQueue(waiting=[message(count=count)]), MemoryQueue("work-poison")
        invoker = ScriptedInvoker(FAILED)
        drive(queue, invoker, lambda queue=queue: queue.settled, poison=poison)  # type: ignore[misc]
        assert invoker.runs == runs
        assert poison.settled == [("sent", message().text)]
        assert queue.settled == [("deleted", "1", "r")]


def test_without_a_poison_queue_a_failed_message_is_left_invisible() -> None:
    queue, invoker = MemoryQueue(waiting=[message(count=5)]), ScriptedInvoker(FAILED)
    drive(queue, invoker, lambda: invoker.runs)
    assert queue.settled == []


def test_a_message_is_renewed_while_its_function_runs_and_settled_with_the_new_receipt() -> None:
    queue = MemoryQueue(waiting=[message()])
    invoker = ScriptedInvoker(seconds=1.2)
    settled = queue.settled
    drive(queue, invoker, lambda: settled and settled[-1][0] == "deleted", invisible_seconds=1)
    assert settled == [("hidden", "1", 1), ("hidden", "1", 1), ("deleted", "1", "r++")]


def test_no_more_run_at_once_than_batch_and_threshold_allow() -> None:
    queue = MemoryQueue(waiting=[message(number=number) for number in range(30)])
    invoker = ScriptedInvoker(seconds=0.01)
    options = QueueOptions(batch_size=4, new_batch_threshold=2)
    drive(queue, invoker, lambda: len(queue.settled) == 30, options=options)
    assert 4 <= invoker.most_at_once <= 6
    assert set(queue.polls) == {4}


def test_the_loop_survives_every_error_of_the_service() -> None:
    failures = [QueueMissingError("404"), QueueStorageError("503"), RuntimeError("surprise")]
    queue = MemoryQueue(waiting=[message()], failures=list(failures))
    drive(queue, ScriptedInvoker(), lambda: queue.settled)
    assert queue.settled == [("deleted", "1", "r")]


class LongPause(Pause):
    """Longer than any test."""

    def next(self) -> float:
        return 3600


def test_a_write_of_the_same_host_wakes_the_loop() -> None:
    queue = MemoryQueue()

    def until() -> object:
        if len(queue.polls) == 1:
            queue.waiting.append(message())
            for watcher in queue.watchers:
                watcher.set()
        return queue.settled

    drive(queue, ScriptedInvoker(), until, pause=LongPause(3600))


def test_a_stop_waits_for_running_messages() -> None:
    queue = MemoryQueue(waiting=[message()])
    invoker = ScriptedInvoker(seconds=0.2)
    drive(queue, invoker, lambda: invoker.at_once)
    assert queue.settled == [("deleted", "1", "r")]


def test_the_pause_grows_to_its_longest_and_starts_again() -> None:
    pause = Pause(2, random.Random(1))  # noqa: S311 - a seed, not a secret
    pauses = [pause.next() for _ in range(10)]
    assert 0.1 <= pauses[0] <= 0.12
    assert pauses[:5] == sorted(pauses[:5])
    assert all(1.6 <= seconds <= 2 for seconds in pauses[5:])
    pause.reset()
    assert pause.next() <= 0.12


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "the connection setting AzureWebJobsStorage is not defined"),
        ({"AzureWebJobsStorage": "nonsense"}, "AzureWebJobsStorage is no connection string"),
        ({"AzureWebJobsStorage__clientId": "x"}, "AzureWebJobsStorage is no connection string"),
    ],
)
def test_an_unusable_connection_is_named(settings: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        QueueStorage(settings).queue("", "work")


def test_development_storage_is_understood() -> None:
    async def main() -> None:
        storage = QueueStorage({"AzureWebJobsStorage": "UseDevelopmentStorage=true"})
        assert storage.queue("", "work") is storage.queue("", "work")
        await storage.close()

    asyncio.run(main())
