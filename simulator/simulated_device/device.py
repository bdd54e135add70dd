"""A simulated device: the firmware stages, run by a clock and a connection to a hub."""

import asyncio
import logging
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime

from device_agent.credentials import Credentials
from device_agent.hub_connection import RESPONSE_TIMEOUT_SECONDS, HubConnection
from device_agent.stages import MethodResponse
from simulator.simulated_device.simulated_updates import SimulatedUpdates, UpdateSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOptions:
    """What a simulated device needs to know."""

    credentials: Credentials
    update_settings: UpdateSettings = field(default_factory=UpdateSettings)
    response_timeout_seconds: float = RESPONSE_TIMEOUT_SECONDS


class Device:
    """One simulated device; any number of them share an event loop."""

    def __init__(self, options: DeviceOptions) -> None:
        """Raises ConnectionStringError or CredentialsError."""
        options.credentials.check()
        self.device_id = options.credentials.identity.device_id
        """The id under which the hub knows the device."""
        self._options = options
        self._stages = SimulatedUpdates(options.update_settings)
        self._wake = asyncio.Event()
        self.standing_by = threading.Event()
        """Set, for other threads to wait on, once the hub has the device's first report."""

    async def run(self) -> None:
        """Be a device until cancelled. Raises ValueError for a key that is not base64."""
        connection = HubConnection(
            self._options.credentials,
            response_timeout_seconds=self._options.response_timeout_seconds,
        )
        try:
            await connection.on_change(self._wake.set)
            await self._switch_on(connection)
            while True:
                await self._sleep()
                await connection.ensure_open()
                if report := self._stages.advance(_now()):
                    await connection.send_report(report)
        finally:
            await connection.close()
            logger.info("%s stopped", self.device_id)

    async def _switch_on(self, connection: HubConnection) -> None:
        # The twin comes first: without its memory, a repeated method would update once more.
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
        """Until the next report is due, a method was answered, or the connection changed."""
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
