"""The timer loop on a manual clock: what follows a run that was long or failed."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from simulator.host import timer_listener
from simulator.host.bindings import AppFunction, TimerTrigger
from simulator.host.schedule import parse_schedule
from simulator.host.timer_listener import TimerListener
from simulator.host.worker import Outcome

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """Advances by a tenth of a second whenever it is read."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=0.1)
        return self.now


class TimedInvoker:
    """Records when runs start, lets each take its seconds, ends the loop after the last."""

    def __init__(self, clock: Clock, seconds: list[float], *, raises: bool = False) -> None:
        self.clock = clock
        self.seconds = seconds
        self.raises = raises
        self.starts: list[float] = []
        self.finished = asyncio.Event()

    async def run(self, *_: Any) -> Outcome:
        self.starts.append(round((self.clock.now - START).total_seconds(), 1))
        self.clock.now += timedelta(seconds=self.seconds[len(self.starts) - 1])
        if len(self.starts) == len(self.seconds):
            self.finished.set()
        if self.raises:
            raise RuntimeError("on purpose")
        return Outcome(ok=False)


@pytest.fixture(autouse=True)
def short_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the loop read its clock every millisecond instead of every 30 s."""
    monkeypatch.setattr(timer_listener, "_MAX_SLEEP_SECONDS", 0.001)


def starts(expression: str, seconds: list[float], *, raises: bool = False) -> list[float]:
    """Return when runs of the given lengths start, in seconds after the listener has."""
    trigger = TimerTrigger(
        parameter="timer",
        text=expression,
        schedule=parse_schedule(expression),
    )
    function = AppFunction(name="f", id="id", trigger=trigger, disabled=False)

    async def main() -> list[float]:
        clock = Clock()
        invoker = TimedInvoker(clock, seconds, raises=raises)
        listener = TimerListener(function, trigger, invoker, clock)  # type: ignore[arg-type]
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            group.create_task(listener.run())
            await invoker.finished.wait()
            listener.stop()
        return invoker.starts

    return asyncio.run(main())


def test_runs_start_on_the_schedule() -> None:
    assert starts("*/10 * * * * *", [0, 0, 0]) == pytest.approx([10.1, 20.1, 30.1], abs=0.2)


def test_a_long_run_is_followed_by_one_at_once_and_other_missed_runs_are_skipped() -> None:
    found = starts("*/10 * * * * *", [25, 0, 0])
    assert found == pytest.approx([10.1, 35.3, 40.3], abs=0.3)


def test_an_error_of_the_host_does_not_end_the_schedule() -> None:
    assert len(starts("* * * * * *", [0, 0, 0], raises=True)) == 3
