"""A device that really updates: the agent on a hub connection and a folder.

Only the restart, the bootloader and the health of the firmware are pretended, and faults if they
are asked for. Between two lives the device leaves its hub, as in a real restart.
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
from device_agent.disk import locked
from device_agent.download import DownloadLimits
from device_agent.errors import SwitchedOffError
from device_agent.http_transport import HttpTransport
from device_agent.hub_connection import HubConnection
from device_agent.hub_runner import HubRunner
from device_agent.package_addresses import AddressRules
from device_agent.stages import FACTORY_VERSION
from simulator.simulated_device.faults import Faults
from simulator.simulated_device.product import product
from simulator.simulated_device.simulated_ports import SimulatedCrashError

logger = logging.getLogger(__name__)

_PAUSE_AFTER_TROUBLE_SECONDS = 5.0
# For work that is to end at once to come to its end; what then hangs is left behind.
_LAST_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallingOptions:
    """One device: who it is, where its slots and its journal are, and what it accepts."""

    credentials: Credentials
    directory: Path
    policy: Policy
    first_version: str = FACTORY_VERSION
    faults: Faults = field(default_factory=Faults)
    limits: DownloadLimits = field(default_factory=DownloadLimits)
    rules: AddressRules = field(default_factory=AddressRules)
    progress_step_percent: int | None = None
    restart_seconds: float = 0.2
    trial_seconds: float = 600.0
    """How long new firmware has to reach the hub, before the old one comes back."""


class InstallingDevice:
    """One device; any number of them share an event loop."""

    def __init__(self, options: InstallingOptions) -> None:
        """Raises ConnectionStringError or CredentialsError."""
        options.credentials.check()
        self.device_id = options.credentials.identity.device_id
        """The id under which the hub knows the device."""
        self._options = options
        self.standing_by = threading.Event()
        """Set, for other threads to wait on, once the hub knows what the device runs."""

    async def run(self) -> None:
        """Be a device until cancelled.

        Raises BrickedError, and OSError for a directory that another process has or none can use.
        """
        connection = HubConnection(self._options.credentials)
        try:
            with locked(self._options.directory):
                while True:
                    life = _Life(self._options, self.device_id, connection)
                    await life.run_once(self.standing_by)
                    logger.info("%s restarts", self.device_id)
                    await asyncio.sleep(self._options.restart_seconds)
        finally:
            await connection.close()
            logger.info("%s stopped", self.device_id)


class _Life:
    """From one start of the device to the next."""

    def __init__(
        self, options: InstallingOptions, device_id: str, connection: HubConnection
    ) -> None:
        self._options, self._device_id = options, device_id
        self._clock = SystemClock()
        self._transport = HttpTransport(self._clock, options.rules)
        self._connection = connection

    async def run_once(self, standing_by: threading.Event) -> None:
        try:
            agent = await self._run_in_thread(self._switched_on)
            running = HubRunner(agent, self._connection, self._run_in_thread)
            await running.run(self._options.trial_seconds, standing_by)
        except SimulatedCrashError:
            logger.info("%s has died", self._device_id)
        except OSError:
            logger.exception("%s cannot go on and restarts", self._device_id)
            await asyncio.sleep(_PAUSE_AFTER_TROUBLE_SECONDS)
        finally:
            self._switch_off()
            await self._connection.leave()

    def _switched_on(self) -> UpdateAgent:
        options = self._options
        made = product(
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
            made,
            AgentOptions(
                policy=policy,
                limits=options.limits,
                progress_step_percent=options.progress_step_percent,
            ),
        )

    def _switch_off(self) -> None:
        self._clock.stop()
        self._transport.interrupt()

    async def _run_in_thread[T, **P](
        self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs
    ) -> T:
        """Let a blocking part of the agent run; when the device is stopped, wait for its end."""
        task = asyncio.create_task(asyncio.to_thread(work, *arguments, **named))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._switch_off()
            await asyncio.wait({task}, timeout=_LAST_SECONDS)
            if not task.done():
                logger.warning("%s left work behind that does not end", self._device_id)
            elif not isinstance(task.exception(), SwitchedOffError | None):
                logger.warning("%s stopped with %s", self._device_id, task.exception())
            raise
