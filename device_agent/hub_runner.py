"""Run the agent on a connection to IoT Hub: send its reports, pass it methods, let it work."""

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
    """Runs one device from its start to its restart."""

    def __init__(
        self, agent: UpdateAgent, connection: HubConnection, run_in_thread: RunInThread
    ) -> None:
        """Bind the runner to the running event loop."""
        self._agent, self._connection, self._run_in_thread = agent, connection, run_in_thread
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._progress: Future[None] | None = None
        self._fatal_error: BaseException | None = None

    async def run(self, trial_seconds: float, standing_by: threading.Event) -> None:
        """Run until the device must restart.

        New firmware has `trial_seconds` to reach the hub and pass its health check. Otherwise the
        device returns to the old firmware: firmware that cannot reach a hub can never be replaced.
        Sets `standing_by` once the hub knows what the device runs and the agent has no work.
        Raises what the agent raises.
        """
        serving = asyncio.create_task(self._serve(standing_by))
        try:
            await asyncio.wait(
                {serving}, timeout=trial_seconds if self._agent.is_on_trial else None
            )
            if not serving.done():
                limit = f"{trial_seconds:g} s"
                self._agent.revert(f"it did not reach the hub and pass its check within {limit}")
            if not self._agent.is_restarting:  # it was confirmed in time
                await serving
        finally:
            serving.cancel()
            await asyncio.wait({serving})
        if not serving.cancelled() and (error := serving.exception()):
            raise error

    async def _serve(self, standing_by: threading.Event) -> None:
        await self._connection.ensure_open()
        reconnecting = asyncio.create_task(self._connection.keep_open())
        try:
            self._agent.read_twin(await self._connection.read_reported_properties())
            await self._connection.handle_methods(self._on_method)
            await self._serve_agent(standing_by)
        finally:
            reconnecting.cancel()

    async def _serve_agent(self, standing_by: threading.Event) -> None:
        agent = self._agent
        while not agent.is_restarting:
            if report := agent.next_report():
                await self._connection.send_report(report)
                agent.acknowledge(report)
            elif agent.has_work:
                await self._run_in_thread(agent.work, self._send_progress)
                await self._wait_for_progress()
            else:
                standing_by.set()
                await self._wake.wait()
                self._wake.clear()
                if self._fatal_error is not None:
                    raise self._fatal_error

    def _on_method(self, name: str, payload: object) -> MethodResponse | None:
        self._wake.set()
        try:
            return self._agent.invoke(name, payload)
        except BaseException as error:  # noqa: BLE001 - it ends the run, not only this call
            self._fatal_error = error
            return None

    def _send_progress(self, report: Report) -> None:
        """Send progress from the agent's thread; skip it while the last report is on its way."""
        if self._progress is None or self._progress.done():
            sending = self._connection.send_report(report)
            self._progress = asyncio.run_coroutine_threadsafe(sending, self._loop)

    async def _wait_for_progress(self) -> None:
        if self._progress is not None:
            await asyncio.wrap_future(self._progress)
