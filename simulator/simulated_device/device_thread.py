"""Run simulated devices in a thread of a program that is not asynchronous itself."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Protocol, Self

# Each download has a thread and some open files; further downloads wait for a thread.
MAX_CONCURRENT_DOWNLOADS = 32


class RunnableDevice(Protocol):
    """A device that can be run."""

    @property
    def device_id(self) -> str:
        """The id in the hub's identity registry."""

    async def run(self) -> None:
        """Run the device until cancelled."""


class DeviceThread:
    """A thread for any number of devices; as a context manager it stops them all at its end."""

    def __init__(self) -> None:
        """Create the thread; `__enter__` starts it."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="simulated devices")
        self._running: dict[str, asyncio.Task[None]] = {}

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop every device, then the thread."""
        self._call(self._stop(list(self._running)))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def start(self, device: RunnableDevice) -> None:
        """Start a device, which connects in the background. Raises ValueError if its id runs."""
        self._call(self._start(device))

    def stop(self, device_id: str) -> None:
        """Stop a device and return once it has disconnected."""
        self._call(self._stop([device_id]))

    async def _start(self, device: RunnableDevice) -> None:
        if device.device_id in self._running:
            raise ValueError(f"device {device.device_id} runs already")
        self._running[device.device_id] = asyncio.create_task(device.run())

    async def _stop(self, device_ids: list[str]) -> None:
        tasks = [self._running.pop(device_id) for device_id in device_ids]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _call(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _run(self) -> None:
        self._loop.set_default_executor(ThreadPoolExecutor(MAX_CONCURRENT_DOWNLOADS))
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.get_loop().run_forever()
