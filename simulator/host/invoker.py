"""Run one invocation, with the two log lines that the host writes for it."""

import asyncio
import logging
import time
import uuid
from collections.abc import Mapping
from typing import Any

from simulator.host.bindings import AppFunction, TimerTrigger
from simulator.host.worker import Outcome, Worker

logger = logging.getLogger("host")


class Invoker:
    """Runs functions and knows which invocations are running."""

    def __init__(self, worker: Worker, running: dict[str, str]) -> None:
        """Fill `running` with invocation id -> function name, for the log lines."""
        self._worker = worker
        self._running = running
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(
        self,
        function: AppFunction,
        reason: str,
        value: Any,
        metadata: Mapping[str, Any] | None = None,
    ) -> Outcome:
        """Invoke `function` with its trigger's Datum. Return an Outcome also if it fails."""
        invocation_id = str(uuid.uuid4())
        # Debug level, or a timer of a few seconds fills the console with runs that went well.
        level = logging.DEBUG if isinstance(function.trigger, TimerTrigger) else logging.INFO
        message = "Executing 'Functions.%s' (Reason='%s', Id=%s)"
        named = {"function": function.name}
        logger.log(level, message, function.name, reason, invocation_id, extra=named)
        self._running[invocation_id] = function.name
        self._idle.clear()
        started = time.perf_counter()
        try:
            outcome = await self._worker.invoke(
                function.id, invocation_id, [(function.trigger.parameter, value)], metadata or {}
            )
        finally:
            del self._running[invocation_id]
            if not self._running:
                self._idle.set()
        _log_end(function, invocation_id, outcome, level, time.perf_counter() - started)
        return outcome

    async def wait_until_idle(self, seconds: float) -> bool:
        """Wait for running invocations; return False if some still run after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while self._running:
                    await self._idle.wait()
        except TimeoutError:
            return False
        return True


def _log_end(
    function: AppFunction, invocation_id: str, outcome: Outcome, level: int, seconds: float
) -> None:
    logger.log(
        level if outcome.ok else logging.ERROR,
        "Executed 'Functions.%s' (%s, Id=%s, Duration=%dms)%s",
        function.name,
        "Succeeded" if outcome.ok else "Failed",
        invocation_id,
        round(seconds * 1000),
        "" if outcome.ok else f"\n{outcome.stack_trace or outcome.error}".rstrip(),
        extra={"function": function.name},
    )
