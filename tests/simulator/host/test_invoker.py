"""One invocation: its log lines, its outputs and what becomes of their failures."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from simulator.host.bindings import AppFunction, QueueOutput, QueueTrigger
from simulator.host.console import FunctionNames
from simulator.host.invoker import Invoker
from simulator.host.worker import Datum, Outcome

OUTPUTS = (
    QueueOutput(parameter="first", queue="one", connection=""),
    QueueOutput(parameter="$return", queue="two", connection=""),
)
FUNCTION = AppFunction(
    name="f",
    id="id",
    trigger=QueueTrigger(parameter="msg", queue="q", connection="", binary=False),
    outputs=OUTPUTS,
    disabled=False,
)


class ScriptedWorker:
    """Ends every invocation with the same outcome."""

    def __init__(self, outcome: Outcome, seconds: float = 0) -> None:
        self.outcome = outcome
        self.seconds = seconds
        self.seen: list[tuple[Any, ...]] = []

    async def invoke(self, *arguments: Any, **_: Any) -> Outcome:
        self.seen.append(arguments)
        await asyncio.sleep(self.seconds)
        return self.outcome


class Outbox:
    """Keeps what is sent; fails for one queue."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.sent: list[tuple[str, Any]] = []

    async def send(self, output: QueueOutput, value: Any) -> None:
        if output.queue == self.failing:
            raise RuntimeError("queue is full")
        self.sent.append((output.queue, value.value))


def invoke(outcome: Outcome, outbox: Outbox) -> Outcome:
    invoker = Invoker(ScriptedWorker(outcome), outbox, {})  # type: ignore[arg-type]
    return asyncio.run(invoker.run(FUNCTION, "because", Datum("x", "string")))


def outputs(**values: str) -> Mapping[str, Any]:
    return {name: Datum(value, "string") for name, value in values.items()}


def test_arguments_and_the_return_value_are_sent_after_a_success() -> None:
    outbox = Outbox()
    outcome = Outcome(ok=True, returned=Datum("r", "string"), outputs=outputs(first="a"))
    assert invoke(outcome, outbox).ok
    assert outbox.sent == [("one", "a"), ("two", "r")]


def test_what_was_not_set_is_not_sent() -> None:
    outbox = Outbox()
    assert invoke(Outcome(ok=True, outputs={}), outbox).ok
    assert outbox.sent == []


def test_nothing_is_sent_after_a_failure() -> None:
    outbox = Outbox()
    assert not invoke(Outcome(ok=False, outputs=outputs(first="a")), outbox).ok
    assert outbox.sent == []


def test_a_failed_output_fails_the_invocation(caplog: pytest.LogCaptureFixture) -> None:
    outcome = Outcome(ok=True, outputs=outputs(first="a"))
    with caplog.at_level(logging.INFO, "host"):
        assert not invoke(outcome, Outbox("one")).ok
    first, second = caplog.messages
    assert first.startswith("Executing 'Functions.f' (Reason='because', Id=")
    assert second.startswith("Executed 'Functions.f' (Failed, Id=")
    assert second.endswith("the output binding to queue 'one' failed: queue is full")


def test_waiting_for_idle_ends_with_the_last_invocation_or_with_the_time() -> None:
    async def main() -> tuple[bool, bool]:
        worker = ScriptedWorker(Outcome(ok=True, outputs={}), seconds=0.2)
        invoker = Invoker(worker, Outbox(), {})  # type: ignore[arg-type]
        run = asyncio.create_task(invoker.run(FUNCTION, "because", None))
        await asyncio.sleep(0)
        early = await invoker.wait_until_idle(0.01)
        late = await invoker.wait_until_idle(5)
        await run
        return early, late

    assert asyncio.run(main()) == (False, True)


@pytest.mark.parametrize(
    ("levels", "function", "shown"),
    [
        ({}, "f", True),
        ({"default": "Warning"}, None, False),
        ({"default": "Warning", "Function": "Information"}, "f", True),
        ({"Function": "Information", "Function.f": "Error"}, "f", False),
        ({"Function.f": "Error", "Function.f.User": "Information"}, "F", True),
        ({"default": "None"}, "f", False),
    ],
)
def test_host_json_levels_filter_log_lines(
    levels: dict[str, str], function: str | None, shown: bool
) -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "text", None, None)
    if function is not None:
        record.function = function
    assert FunctionNames({}, levels).filter(record) is shown
