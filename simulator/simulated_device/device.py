"""Run a simulated device: firmware stages that only take time, on a connection to a hub."""

import asyncio
import logging
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime

from device_agent.credentials import Credentials
from device_agent.hub_connection import RESPONSE_TIMEOUT_SECONDS, HubConnection
from device_agent.proxies import Proxies
from device_agent.stages import MethodResponse
from simulator.simulated_device.local_proxies import read_proxies
from simulator.simulated_device.simulated_updates import SimulatedUpdates, UpdateSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOptions:
    """The options of a simulated device."""

    credentials: Credentials
    """How the device authenticates."""
    update_settings: UpdateSettings = field(default_factory=UpdateSettings)
    """How its updates are simulated."""
    proxies: Proxies = field(default_factory=read_proxies)
    """The proxies to the hub."""
    response_timeout_seconds: float = RESPONSE_TIMEOUT_SECONDS
    """How long to wait for the hub's response to one operation."""


class Device:
    """A simulated device; any number of devices share an event loop."""

    def __init__(self, options: DeviceOptions) -> None:
        """Check the credentials. Raises ConnectionStringError and CredentialsError."""
        options.credentials.check()
        self.device_id = options.credentials.identity.device_id
        """The id in the hub's identity registry."""
        self._options = options
        self._stages = SimulatedUpdates(options.update_settings)
        self._wake = asyncio.Event()
        self.standing_by = threading.Event()
        """Set once the hub has the device's first report; other threads may wait for it."""

    async def run(self) -> None:
        """Run the device until cancelled. Raises ValueError for a key that is not base64."""
        connection = HubConnection(
            self._options.credentials,
            response_timeout_seconds=self._options.response_timeout_seconds,
            proxies=self._options.proxies,
        )
        try:
            await connection.on_change(self._wake.set)
            await self._start(connection)
            while True:
                await self._sleep()
                await connection.ensure_open()
                if report := self._stages.advance(_now()):
                    await connection.send_report(report)
        finally:
            await connection.close()
            logger.info("%s stopped", self.device_id)

    async def _start(self, connection: HubConnection) -> None:
        # The twin is read first: without it, a repeated method would start the update again.
        await connection.ensure_open()
        reported = await connection.read_reported_properties()
        report = self._stages.start(reported, _now())
        await connection.handle_methods(self._on_method)
        await connection.send_report(report)
        self.standing_by.set()

    def _on_method(self, name: str, payload: object) -> MethodResponse:
        self._wake.set()
        return self._stages.invoke(name, payload, _now())

    async def _sleep(self) -> None:
        """Sleep until a report is due, a method arrives, or the connection changes."""
        due = self._stages.due
        seconds = None if due is None else (due - _now()).total_seconds()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()


def _now() -> datetime:
    return datetime.now(UTC)
