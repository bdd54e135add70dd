"""A hub in its own thread, for tests and programs that are not asynchronous."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from simulator.connection_strings import device_connection_string, service_connection_string
from simulator.hub.model.device import Authentication, AuthenticationType, DeviceSettings
from simulator.hub.options import HubOptions
from simulator.hub.server import RunningHub, serve

_START_SECONDS = 30
_CALL_SECONDS = 10


class LocalHub:
    """`with LocalHub(options) as hub:` listens from the start to the end of the block.

    Raises what the start raised, PortTakenError for example.
    """

    def __init__(self, options: HubOptions) -> None:
        self._options = options
        self._running: RunningHub | None = None
        self._error: BaseException | None = None
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="local-hub", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            raise TimeoutError(f"the hub did not start within {_START_SECONDS} s")
        if self._error is not None:
            self._thread.join()
            raise self._error
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        assert self._loop is not None and self._stop is not None  # noqa: S101, PT018  entered
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def https_port(self) -> int:
        return self._hub.https_port

    @property
    def mqtt_port(self) -> int:
        return self._hub.mqtt_port

    @property
    def ca_file(self) -> Path:
        return self._hub.certificates.ca_file

    @property
    def connection_string(self) -> str:
        """Return the connection string for services, with the policy iothubowner."""
        options = self._options
        return service_connection_string(options.address, self.https_port, options.key)

    def device_connection_string(self, device_id: str) -> str:
        """Return the connection string of a device. Raises HubError if it is not registered."""
        device = self._call(lambda: self._hub.hub.registry.get(device_id))
        key = device.authentication.primary_key
        return device_connection_string(self._options.address, device_id, key)

    def create_device(self, device_id: str) -> str:
        """Register a device with generated keys and return its connection string."""
        settings = DeviceSettings(
            device_id=device_id, authentication=Authentication(type=AuthenticationType.SAS)
        )
        self._call(lambda: self._hub.hub.registry.create(settings))
        return self.device_connection_string(device_id)

    @property
    def _hub(self) -> RunningHub:
        if self._running is None:
            raise RuntimeError("the hub is not running")
        return self._running

    def _call[Result](self, function: Callable[[], Result]) -> Result:
        """Run `function` in the hub's thread, because the model is not thread-safe."""

        async def call() -> Result:
            return function()

        assert self._loop is not None  # noqa: S101  running
        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(_CALL_SECONDS)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001  raised again in __enter__
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with serve(self._options) as running:
            self._running = running
            self._ready.set()
            await self._stop.wait()
