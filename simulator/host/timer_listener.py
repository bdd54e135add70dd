"""Runs one timer function on its schedule.

There is no overlap: while a run goes on its timer waits. The next time is counted from the start
of the run that has just ended; if it has passed already, one run follows at once and the other
missed ones are skipped. A failed run is logged and the schedule goes on (azure-webjobs-sdk-
extensions, `TimerListener`). The schedule is in the process's local time.

Not emulated: the schedule monitor blob, hence past-due runs after a restart (`use_monitor` is
taken for false); the lock that decides between several hosts; daylight saving for the one
occurrence after a switch, which comes an hour early or late.
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

# A laptop that was asleep, or a clock that was set, is noticed after this long.
_LONGEST_SLEEP_SECONDS = 30.0


def timer_datum() -> Any:
    """The Datum of a timer trigger's input, for a run that is not past due."""
    payload = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": False}
    return Datum(json.dumps(payload), "json")


class TimerListener:
    """One timer function's loop."""

    def __init__(
        self,
        function: AppFunction,
        trigger: TimerTrigger,
        invoker: Invoker,
        clock: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        """`clock` gives the local time with its offset."""
        self._function = function
        self._trigger = trigger
        self._invoker = invoker
        self._clock = clock
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Keep the schedule until `stop`; returns after the run that is under way."""
        started = self._clock()
        if self._trigger.run_on_startup:
            await self._fire(started)
        while not self._stopping.is_set():
            due = self._trigger.schedule.next_after(started)
            if not await self._reached(due):
                return
            started = self._clock()
            await self._fire(started)

    def stop(self) -> None:
        """No further run starts."""
        self._stopping.set()

    async def _reached(self, due: datetime) -> bool:
        """Wait for the clock to show `due`; False when stopped before."""
        while not self._stopping.is_set():
            remaining = (due - self._clock()).total_seconds()
            if remaining <= 0:
                return True
            try:
                async with asyncio.timeout(min(remaining, _LONGEST_SLEEP_SECONDS)):
                    await self._stopping.wait()
            except TimeoutError:
                continue
        return False

    async def _fire(self, moment: datetime) -> None:
        reason = f"Timer fired at {moment.astimezone(UTC).isoformat(timespec='milliseconds')}"
        try:
            await self._invoker.run(self._function, reason, timer_datum())
        except Exception:
            logger.exception("The timer of 'Functions.%s' goes on after", self._function.name)
