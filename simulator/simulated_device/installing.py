"""Run a device that really updates: the agent on a connection to a hub and a folder.

Only the restart, the bootloader, the health of the firmware and requested faults are simulated. The
device disconnects from its hub between two starts, as in a real restart.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from device_agent.admission import Policy
from device_agent.agent import AgentOptions, UpdateAgent
from device_agent.clock import SystemClock
from device_agent.credentials import Credentials
from device_agent.disk import lock_folder
from device_agent.download_limits import DownloadLimits
from device_agent.errors import SwitchedOffError
from device_agent.http_transport import HttpTransport
from device_agent.hub_connection import HubConnection
from device_agent.hub_runner import HubRunner
from device_agent.package_addresses import AddressRules
from device_agent.proxies import Proxies
from device_agent.stages import FACTORY_VERSION
from simulator.simulated_device.faults import Faults
from simulator.simulated_device.local_proxies import read_proxies
from simulator.simulated_device.product import build_product
from simulator.simulated_device.simulated_ports import SimulatedCrashError

logger = logging.getLogger(__name__)

_PAUSE_AFTER_ERROR_SECONDS = 5.0
# How long interrupted work may take to end; work that hangs longer is abandoned.
_MAX_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallingOptions:
    """The options of a device that installs updates."""

    credentials: Credentials
    """How the device authenticates."""
    directory: Path
    """Its disk: the slots, the journal and the download."""
    policy: Policy
    """Which updates it accepts."""
    first_version: str = FACTORY_VERSION
    """The firmware of a new device."""
    faults: Faults = field(default_factory=Faults)
    """Its simulated faults."""
    limits: DownloadLimits = field(default_factory=DownloadLimits)
    """The limits of a download."""
    rules: AddressRules = field(default_factory=AddressRules)
    """Which addresses packages may come from."""
    proxies: Proxies = field(default_factory=read_proxies)
    """The proxies to the hub and to packages."""
    progress_step_percent: int | None = None
    """Report the download's progress in steps of this size; None reports no progress."""
    restart_seconds: float = 0.2
    """How long a simulated restart takes."""
    trial_seconds: float = 600.0
    """How long new firmware has to reach the hub before the old one returns."""


class InstallingDevice:
    """A device that installs updates; any number of devices share an event loop."""

    def __init__(self, options: InstallingOptions) -> None:
        """Check the credentials. Raises ConnectionStringError and CredentialsError."""
        options.credentials.check()
        self.device_id = options.credentials.identity.device_id
        """The id in the hub's identity registry."""
        self._options = options
        self.standing_by = threading.Event()
        """Set once the hub knows what the device runs; other threads may wait for it."""

    async def run(self) -> None:
        """Run the device until cancelled.

        Raises BrickedError; raises OSError if the directory is locked by another process or
        unusable.
        """
        connection = HubConnection(self._options.credentials, proxies=self._options.proxies)
        try:
            with lock_folder(self._options.directory):
                while True:
                    boot = _Boot(self._options, self.device_id, connection)
                    await boot.run(self.standing_by)
                    logger.info("%s restarts", self.device_id)
                    await asyncio.sleep(self._options.restart_seconds)
        finally:
            await connection.close()
            logger.info("%s stopped", self.device_id)


class _Boot:
    """One run of the device, from a start to the next restart."""

    def __init__(
        self, options: InstallingOptions, device_id: str, connection: HubConnection
    ) -> None:
        self._options, self._device_id = options, device_id
        self._clock = SystemClock()
        self._transport = HttpTransport(self._clock, options.rules, proxies=options.proxies)
        self._connection = connection

    async def run(self, standing_by: threading.Event) -> None:
        try:
            agent = await self._run_in_thread(self._make_agent)
            runner = HubRunner(agent, self._connection, self._run_in_thread)
            await runner.run(self._options.trial_seconds, standing_by)
        except SimulatedCrashError:
            logger.info("%s has crashed", self._device_id)
        except OSError:
            logger.exception("%s cannot continue and restarts", self._device_id)
            await asyncio.sleep(_PAUSE_AFTER_ERROR_SECONDS)
        finally:
            self._stop_work()
            await self._connection.disconnect()

    def _make_agent(self) -> UpdateAgent:
        options = self._options
        product = build_product(
            options.directory,
            options.first_version,
            options.faults,
            self._transport,
            self._clock,
        )
        policy = options.policy
        if options.faults.wrong_model:
            policy = replace(policy, model=f"not-{policy.model}")
        return UpdateAgent(
            product,
            AgentOptions(
                policy=policy,
                limits=options.limits,
                progress_step_percent=options.progress_step_percent,
            ),
        )

    def _stop_work(self) -> None:
        self._clock.stop()
        self._transport.interrupt()

    async def _run_in_thread[T, **P](
        self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs
    ) -> T:
        """Run a blocking function in a thread; if cancelled, interrupt it and wait for its end."""
        task = asyncio.create_task(asyncio.to_thread(work, *arguments, **named))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._stop_work()
            await asyncio.wait({task}, timeout=_MAX_STOP_SECONDS)
            if not task.done():
                logger.warning("%s abandoned work that does not end", self._device_id)
            elif not isinstance(task.exception(), SwitchedOffError | None):
                logger.warning("%s stopped with %s", self._device_id, task.exception())
            raise
