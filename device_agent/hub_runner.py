"""The agent on a hub connection: what it owes the hub is sent, its methods answered, its work done.

For a product to copy: it knows the agent and the connection, and nothing that is pretended.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

from device_agent.agent import UpdateAgent
from device_agent.hub_connection import HubConnection
from device_agent.stages import MethodResponse, Report

type RunInThread = Callable[..., Coroutine[Any, Any, None]]
"""Runs a blocking function, with its arguments, beside the event loop."""


class HubRunner:
    """One life of a device, from its start to its restart."""

    def __init__(
        self, agent: UpdateAgent, connection: HubConnection, run_in_thread: RunInThread
    ) -> None:
        """To be made and run on one event loop."""
        self._agent, self._connection, self._run_in_thread = agent, connection, run_in_thread
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._progress: Future[None] | None = None
        self._death: BaseException | None = None

    async def run(self, trial_seconds: float, standing_by: threading.Event) -> None:
        """Return when the device is to restart.

        New firmware has so long to reach the hub, be heard and pass its health check: what cannot
        be reached could never be replaced again. `standing_by` is set once the hub knows what the
        device runs and nothing is left to do. Raises what the agent raises.
        """
        serving = asyncio.create_task(self._serve(standing_by))
        try:
            await asyncio.wait(
                {serving}, timeout=trial_seconds if self._agent.is_on_trial else None
            )
            if not serving.done():
                why = f"it did not reach the hub and pass its check within {trial_seconds:g} s"
                self._agent.revert(why)
            if not self._agent.is_restarting:  # it was confirmed in time
                await serving
        finally:
            serving.cancel()
            await asyncio.wait({serving})
        if not serving.cancelled() and (error := serving.exception()):
            raise error

    async def _serve(self, standing_by: threading.Event) -> None:
        await self._connection.ensure_open()
        kept = asyncio.create_task(self._connection.keep_open())
        try:
            self._agent.read_twin(await self._connection.read_reported_properties())
            await self._connection.handle_methods(self._on_method)
            await self._go_on(standing_by)
        finally:
            kept.cancel()

    async def _go_on(self, standing_by: threading.Event) -> None:
        agent = self._agent
        while not agent.is_restarting:
            if report := agent.next_report():
                await self._connection.send_report(report)
                agent.acknowledge(report)
            elif agent.has_work:
                await self._run_in_thread(agent.work, self._tell)
                await self._last_progress()
            else:
                standing_by.set()
                await self._wake.wait()
                self._wake.clear()
                if self._death is not None:
                    raise self._death

    def _on_method(self, name: str, payload: object) -> MethodResponse | None:
        self._wake.set()
        try:
            return self._agent.invoke(name, payload)
        except BaseException as death:  # noqa: BLE001 - the device ends with it, and not this call
            self._death = death
            return None

    def _tell(self, report: Report) -> None:
        """Progress, from the agent's thread: left out while the last one is still on its way."""
        if self._progress is None or self._progress.done():
            sending = self._connection.send_report(report)
            self._progress = asyncio.run_coroutine_threadsafe(sending, self._loop)

    async def _last_progress(self) -> None:
        if self._progress is not None:
            await asyncio.wrap_future(self._progress)
