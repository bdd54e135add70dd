"""Run one timer function on its schedule.

Runs do not overlap: the timer waits for a run to end. The next time is counted from the start of
that run; if it has passed, one run follows at once and other missed runs are skipped. A failed run
is logged and the schedule continues (azure-webjobs-sdk-extensions, `TimerListener`). The schedule
is in the process's local time.

Left out: the schedule monitor blob, hence past-due runs after a restart (`use_monitor` counts as
false); the lock that elects one of several hosts; daylight saving for the one occurrence after a
switch, which comes an hour early or late.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from simulator.host.bindings import AppFunction, TimerTrigger
from simulator.host.invoker import Invoker
from simulator.host.worker import Datum

logger = logging.getLogger("host")

# A machine that was asleep, or a clock that was set, is noticed after this long.
_MAX_SLEEP_SECONDS = 30.0


def timer_datum() -> Any:
    """Return the Datum of a timer trigger's input, for a run that is not past due."""
    payload = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": False}
    return Datum(json.dumps(payload), "json")


class TimerListener:
    """The loop of one timer function."""

    def __init__(
        self,
        function: AppFunction,
        trigger: TimerTrigger,
        invoker: Invoker,
        clock: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        """Take a `clock` that returns the local time with its offset."""
        self._function = function
        self._trigger = trigger
        self._invoker = invoker
        self._clock = clock
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Run on schedule until `stop`; return when the current run has ended."""
        started = self._clock()
        while not self._stopping.is_set():
            due = self._trigger.schedule.next_after(started)
            if not await self._wait_until(due):
                return
            started = self._clock()
            await self._fire(started)

    def stop(self) -> None:
        """Start no further run."""
        self._stopping.set()

    async def _wait_until(self, due: datetime) -> bool:
        """Wait for the clock to show `due`; return False if stopped before."""
        while not self._stopping.is_set():
            remaining = (due - self._clock()).total_seconds()
            if remaining <= 0:
                return True
            try:
                async with asyncio.timeout(min(remaining, _MAX_SLEEP_SECONDS)):
                    await self._stopping.wait()
            except TimeoutError:
                continue
        return False

    async def _fire(self, moment: datetime) -> None:
        reason = f"Timer fired at {moment.astimezone(UTC).isoformat(timespec='milliseconds')}"
        try:
            await self._invoker.run(self._function, reason, timer_datum())
        except Exception:
            logger.exception(
                "The timer of 'Functions.%s' continues after an error", self._function.name
            )
