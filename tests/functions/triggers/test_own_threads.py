"""Queue messages and requests run on threads of the app's own, however few the worker has."""

import asyncio
import contextvars
import json
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from functions import wiring
from functions.dispatch_queue import messages
from functions.triggers import background
from functions.triggers.own_threads import MAX_MESSAGES, OwnThreads
from simulator.paths import REPOSITORY
from tests.functions.triggers.routing import queue_functions


def context(invocation_id: str, storage: threading.local) -> Any:
    return SimpleNamespace(invocation_id=invocation_id, thread_local_storage=storage)


def test_as_many_messages_run_at_once_as_the_host_passes() -> None:
    queues = json.loads((REPOSITORY / "host.json").read_text())["extensions"]["queues"]
    assert queues["batchSize"] + queues["newBatchThreshold"] == MAX_MESSAGES


@pytest.mark.parametrize("name", ["dispatch_batch", "deliver_events", "give_up_batch"])
def test_slow_messages_do_not_wait_for_each_other(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits until all have begun, which needs a thread for each of them."""
    begun = threading.Barrier(MAX_MESSAGES, timeout=10)

    def wait(*_: Any) -> None:
        begun.wait()

    for work in ("dispatch", "deliver", "give_up"):
        monkeypatch.setattr(background, work, wait)
    monkeypatch.setattr(wiring, "services", lambda: None)
    monkeypatch.setattr(messages, "from_bytes", lambda body: body)
    monkeypatch.setattr(messages, "delivery_from_bytes", lambda body: body)
    function = queue_functions()[name]
    message = SimpleNamespace(get_body=lambda: b"", id="m")

    async def pass_all() -> None:
        storage = threading.local()
        await asyncio.gather(
            *(function(message, context(str(number), storage)) for number in range(MAX_MESSAGES))
        )

    asyncio.run(pass_all())


def test_a_log_line_belongs_to_its_invocation() -> None:
    """By the thread's storage, and by context variables, as on a thread of the worker."""
    variable = contextvars.ContextVar[str]("variable")
    storage = threading.local()

    def read(second: str) -> tuple[Any, ...]:
        return storage.invocation_id, variable.get(), second

    async def run() -> list[tuple[Any, ...]]:
        variable.set("of the caller")
        threads = OwnThreads("test", 1)
        return [await threads.run(context(name, storage), read, second="x") for name in "ab"]

    assert asyncio.run(run()) == [("a", "of the caller", "x"), ("b", "of the caller", "x")]


def test_an_error_reaches_the_host_so_that_it_delivers_the_message_again() -> None:
    def fail() -> None:
        raise ValueError("broken")

    async def run() -> None:
        await OwnThreads("test", 1).run(context("a", threading.local()), fail)

    with pytest.raises(ValueError, match="broken"):
        asyncio.run(run())
