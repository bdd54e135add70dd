"""One invocation: its log lines, and when no invocation is left."""

import asyncio
import logging
from typing import Any

import pytest

from simulator.host.bindings import AppFunction, QueueTrigger
from simulator.host.console import FunctionNames
from simulator.host.invoker import Invoker
from simulator.host.worker import Datum, Outcome

FUNCTION = AppFunction(
    name="f",
    id="id",
    trigger=QueueTrigger(parameter="msg", queue="q", connection=""),
    disabled=False,
)


class ScriptedWorker:
    """Ends every invocation with the same outcome."""

    def __init__(self, outcome: Outcome, seconds: float = 0) -> None:
        self.outcome = outcome
        self.seconds = seconds

    async def invoke(self, *_: Any) -> Outcome:
        await asyncio.sleep(self.seconds)
        return self.outcome


def test_a_run_is_logged_with_its_failure(caplog: pytest.LogCaptureFixture) -> None:
    failed = Outcome(ok=False, error="on purpose")
    invoker = Invoker(ScriptedWorker(failed), {})  # type: ignore[arg-type]
    with caplog.at_level(logging.INFO, "host"):
        outcome = asyncio.run(invoker.run(FUNCTION, "because", Datum("x", "string")))
    assert outcome is failed
    first, second = caplog.messages
    assert first.startswith("Executing 'Functions.f' (Reason='because', Id=")
    assert second.startswith("Executed 'Functions.f' (Failed, Id=")
    assert second.endswith("\non purpose")


def test_waiting_for_idle_ends_with_the_last_invocation_or_with_the_time() -> None:
    async def main() -> tuple[bool, bool]:
        worker = ScriptedWorker(Outcome(ok=True), seconds=0.2)
        invoker = Invoker(worker, {})  # type: ignore[arg-type]
        run = asyncio.create_task(invoker.run(FUNCTION, "because", None))
        await asyncio.sleep(0)
        early = await invoker.wait_until_idle(0.01)
        late = await invoker.wait_until_idle(5)
        await run
        return early, late

    assert asyncio.run(main()) == (False, True)


@pytest.mark.parametrize(
    ("level", "shown"), [("Information", True), ("Warning", False), ("None", False)]
)
def test_the_level_of_host_json_filters_log_lines(level: str, shown: bool) -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "text", None, None)
    assert FunctionNames({}, level).filter(record) is shown
