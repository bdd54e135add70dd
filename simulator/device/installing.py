"""A device that really updates: the agent on a hub connection and a folder.

Only the restart, the bootloader and the health of the firmware are pretended, and faults if they
are asked for. Each life has a connection of its own, as after a real restart.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from simulator.device.agent.addresses import AddressRules
from simulator.device.agent.admission import Policy
from simulator.device.agent.agent import AgentOptions, UpdateAgent
from simulator.device.agent.download import DownloadLimits
from simulator.device.agent.errors import SwitchedOff
from simulator.device.agent.http import HttpTransport
from simulator.device.agent.ports import Product
from simulator.device.agent.slots import SlotInstaller
from simulator.device.clock import SystemClock
from simulator.device.credentials import Certificate, check_credentials
from simulator.device.hub_connection import HubConnection
from simulator.device.identity import identity
from simulator.device.pretend.bootloader import boot, manufacture
from simulator.device.pretend.faults import Faults
from simulator.device.pretend.faulty import (
    FaultyFolder,
    FaultyTransport,
    PretendedCrash,
    PretendedHealth,
    PretendedReadiness,
)
from simulator.device.stages import FACTORY_VERSION, Report
from simulator.device.update import FirmwareStatus

logger = logging.getLogger(__name__)

_PAUSE_AFTER_TROUBLE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallingOptions:
    """One device: who it is, where its slots and its journal are, and what it accepts."""

    connection_string: str = field(repr=False)
    directory: Path
    policy: Policy
    certificate: Certificate | None = None
    ca: str | None = None
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
        self.identity = identity(options.connection_string)
        check_credentials(self.identity, options.certificate)
        self._options = options
        self._wake = asyncio.Event()
        self.standing_by = threading.Event()
        """Set, for other threads to wait on, once the hub knows what the device runs."""

    @property
    def device_id(self) -> str:
        """The id under which the hub knows the device."""
        return self.identity.device_id

    async def run(self) -> None:
        """Be a device until cancelled. Raises BrickedError, and OSError from its folder."""
        try:
            while True:
                await _Life(self._options, self.device_id, self._wake, self.standing_by).live()
                logger.info("%s restarts", self.device_id)
                await asyncio.sleep(self._options.restart_seconds)
        finally:
            logger.info("%s stopped", self.device_id)


class _Life:
    """From one start of the device to the next."""

    def __init__(
        self,
        options: InstallingOptions,
        device_id: str,
        wake: asyncio.Event,
        standing_by: threading.Event,
    ) -> None:
        self._options, self._device_id = options, device_id
        self._wake, self._standing_by = wake, standing_by
        self._clock = SystemClock()
        self._transport = HttpTransport(self._clock, options.rules)
        self._loop = asyncio.get_running_loop()
        self._progress: Future[None] | None = None
        self._crash: PretendedCrash | None = None
        self._connection = HubConnection(
            device_id, options.connection_string, options.certificate, ca=options.ca
        )

    async def live(self) -> None:
        kept: asyncio.Task[None] | None = None
        try:
            agent = await self._in_thread(self._switched_on)
            if await self._reaches_hub(agent):
                kept = asyncio.create_task(self._connection.keep_open())
                await self._serve(agent)
        except PretendedCrash:
            logger.info("%s has died", self._device_id)
        except OSError:
            logger.exception("%s cannot go on and starts anew", self._device_id)
            await asyncio.sleep(_PAUSE_AFTER_TROUBLE_SECONDS)
        finally:
            self._clock.stop()
            if kept is not None:
                kept.cancel()
            await self._connection.close()

    def _switched_on(self) -> UpdateAgent:
        options, clock = self._options, self._clock
        folder = FaultyFolder(options.directory, options.faults)
        manufacture(folder, options.first_version)
        product = Product(
            storage=folder,
            transport=FaultyTransport(self._transport, options.faults, clock),
            clock=clock,
            installer=SlotInstaller(folder, boot(folder), _to_be_restarted),
            health=PretendedHealth(options.faults),
            readiness=PretendedReadiness(options.faults, clock),
        )
        return UpdateAgent(
            product,
            AgentOptions(
                policy=_policy(options),
                limits=options.limits,
                progress_step_percent=options.progress_step_percent,
            ),
        )

    async def _reaches_hub(self, agent: UpdateAgent) -> bool:
        """Firmware that cannot reach the hub could never be replaced again."""
        seconds = self._options.trial_seconds if agent.is_on_trial else None
        try:
            async with asyncio.timeout(seconds):
                await self._connection.ensure_open()
        except TimeoutError:
            agent.distrust(f"it did not reach the hub within {seconds:g} s")
            return False
        return True

    async def _serve(self, agent: UpdateAgent) -> None:
        agent.meet(await self._connection.reported_properties())
        await self._connection.answer_methods(lambda *call: self._answer(agent, *call))
        while not agent.is_restarting:
            if report := agent.owed():
                await self._send(report, agent)
                agent.told(report)
            elif agent.has_work:
                await self._in_thread(agent.work, self._tell)
                await self._last_progress()
            else:
                self._standing_by.set()
                await self._wake.wait()
                self._wake.clear()
                if self._crash:
                    raise self._crash

    def _answer(
        self, agent: UpdateAgent, name: str, payload: object
    ) -> tuple[int, dict[str, Any]] | None:
        try:
            answer = agent.invoke(name, payload)
        except PretendedCrash as crash:
            self._crash = crash
            self._wake.set()
            return None
        text = answer.payload["Response"]
        logger.info("%s answers %s with %d: %s", self._device_id, name, answer.status, text)
        self._wake.set()
        return answer.status, dict(answer.payload)

    async def _send(self, report: Report, agent: UpdateAgent) -> None:
        about = report.update or f"with firmware {agent.version}"
        if report.status is FirmwareStatus.FAILED and report.error:
            about = f"{about}: {report.error.code}, {report.error.message}"
        logger.info("%s %s %s", self._device_id, report.status, about)
        await self._connection.report(report.patch)

    def _tell(self, report: Report) -> None:
        """Progress, from the agent's thread: left out while the last one is still on its way."""
        if self._progress is None or self._progress.done():
            sending = self._connection.report(report.patch)
            self._progress = asyncio.run_coroutine_threadsafe(sending, self._loop)

    async def _last_progress(self) -> None:
        if self._progress is not None:
            await asyncio.wrap_future(self._progress)

    async def _in_thread[T, **P](
        self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs
    ) -> T:
        """Let a blocking part of the agent run; when the device is stopped, wait for its end."""
        task = asyncio.create_task(asyncio.to_thread(work, *arguments, **named))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._clock.stop()
            self._transport.interrupt()
            await asyncio.wait({task})
            if not task.cancelled() and not isinstance(task.exception(), SwitchedOff | None):
                logger.warning("%s stopped with %s", self._device_id, task.exception())
            raise


def _policy(options: InstallingOptions) -> Policy:
    other = f"not-{options.policy.model}"
    return replace(options.policy, model=other) if options.faults.wrong_model else options.policy


def _to_be_restarted() -> None:
    """The restart is pretended: the agent's life ends, and another one begins."""
