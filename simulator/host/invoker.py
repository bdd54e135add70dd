"""One invocation from its id to its sent outputs, with the two log lines that the host writes."""

import asyncio
import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from simulator.host.bindings import AppFunction, QueueOutput, TimerTrigger
from simulator.host.worker import Outcome, Worker

logger = logging.getLogger("host")


class OutputSender(Protocol):
    """Sends what a function wrote to an output binding; any exception fails the invocation."""

    async def send(self, output: QueueOutput, value: Any) -> None:
        """Send one output's Datum."""


class Invoker:
    """Runs functions and knows which invocations are under way."""

    def __init__(self, worker: Worker, outputs: OutputSender, running: dict[str, str]) -> None:
        """`running` is filled with invocation id -> function name, for the log lines."""
        self._worker = worker
        self._outputs = outputs
        self._running = running
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(
        self,
        function: AppFunction,
        reason: str,
        value: Any,
        metadata: Mapping[str, Any] | None = None,
        *,
        trace_parent: str = "",
        trace_state: str = "",
    ) -> Outcome:
        """Invoke `function` with its trigger's Datum, then send its outputs.

        Never raises for a failure of the function or of an output: both make a failed Outcome.
        """
        invocation_id = str(uuid.uuid4())
        # A timer of a few seconds would fill the console with runs that went well.
        level = logging.DEBUG if isinstance(function.trigger, TimerTrigger) else logging.INFO
        named = {"function": function.name}
        logger.log(
            level,
            "Executing 'Functions.%s' (Reason='%s', Id=%s)",
            function.name,
            reason,
            invocation_id,
            extra=named,
        )
        self._running[invocation_id] = function.name
        self._idle.clear()
        started = time.perf_counter()
        try:
            outcome = await self._worker.invoke(
                function.id,
                invocation_id,
                [(function.trigger.parameter, value)],
                metadata or {},
                trace_parent=trace_parent,
                trace_state=trace_state,
            )
            if outcome.ok and function.outputs:
                outcome = await self._send_outputs(function.outputs, outcome)
        finally:
            del self._running[invocation_id]
            if not self._running:
                self._idle.set()
        milliseconds = round((time.perf_counter() - started) * 1000)
        logger.log(
            level if outcome.ok else logging.ERROR,
            "Executed 'Functions.%s' (%s, Id=%s, Duration=%dms)%s",
            function.name,
            "Succeeded" if outcome.ok else "Failed",
            invocation_id,
            milliseconds,
            "" if outcome.ok else f"\n{outcome.stack_trace or outcome.error}".rstrip(),
            extra=named,
        )
        return outcome

    async def wait_until_idle(self, seconds: float) -> bool:
        """Wait for running invocations; False when some still run after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while self._running:
                    await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def _send_outputs(self, outputs: Sequence[QueueOutput], outcome: Outcome) -> Outcome:
        try:
            for output in outputs:
                value = (
                    outcome.returned
                    if output.parameter == "$return"
                    else outcome.outputs.get(output.parameter)
                )
                if value is not None:
                    await self._outputs.send(output, value)
        except Exception as error:
            logger.debug("An output binding failed", exc_info=True)
            text = f"the output binding to queue {output.queue!r} failed: {error}"
            return Outcome(ok=False, outputs={}, error=text)
        return outcome
