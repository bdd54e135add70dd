"""Run the real agent, slots and bootloader on a virtual disk, clock and network."""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from device_agent.admission import Policy
from device_agent.agent import AgentOptions, UpdateAgent
from device_agent.download_limits import DownloadLimits
from device_agent.errors import UnavailableError, UpdateFailedError
from device_agent.ports import Deferral, Installer, PackageResponse, Product
from device_agent.slots import SlotInstaller
from device_agent.stages import MethodResponse, Report
from simulator.simulated_device.bootloader import boot, manufacture
from tests.device_agent.volatile_disk import Power, VolatileDisk

OLD, NEW = "1.0.0", "2.4.0"
URL = "https://packages.example/fw.bin?sig=secret"
CHUNK = 1000


@dataclass
class VirtualClock:
    """A clock on which time passes only in sleeps."""

    power: Power
    seconds: float = 0.0

    def now(self) -> datetime:
        return datetime(2026, 12, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.power.tick()
        self.seconds += seconds


@dataclass
class VirtualServer:
    """A server of one package that may lose connections and counts what it sends."""

    power: Power
    package: bytes
    etag: str | None = '"one"'
    resumes: bool = True
    total: int | None = None
    cuts: list[int] = field(default_factory=list)
    """After how many bytes each of the next connections is lost."""
    failure: UpdateFailedError | UnavailableError | None = None
    sent: int = 0
    offsets: list[int] = field(default_factory=list)
    """The offset of each request."""

    @contextmanager
    def get(
        self, url: str, offset: int, etag: str | None, seconds: float
    ) -> Iterator[PackageResponse]:
        assert url == URL
        assert seconds > 0
        self.offsets.append(offset)
        self.power.tick()
        if self.failure is not None:
            raise self.failure
        matches = etag is None or etag == self.etag
        begins = offset if self.resumes and matches else 0
        total = len(self.package) if self.total is None else self.total
        yield PackageResponse(
            offset=begins, total=total or None, etag=self.etag, chunks=self._chunks(begins)
        )

    def _chunks(self, begins: int) -> Iterator[bytes]:
        end = begins + self.cuts.pop(0) if self.cuts else len(self.package)
        for start in range(begins, min(end, len(self.package)), CHUNK):
            chunk = self.package[start : min(start + CHUNK, end)]
            self.power.tick()
            self.sent += len(chunk)
            yield chunk
        if end < len(self.package):
            raise UnavailableError("the connection was lost")


@dataclass
class Bench:
    """A device over all its restarts, and what its hub sees of it."""

    package: bytes = field(default_factory=lambda: random.Random(5).randbytes(10_500))  # noqa: S311
    power: Power = field(default_factory=Power)
    health_problem: str | None = None
    deferral: Deferral | None = None
    policy: Policy = field(default_factory=lambda: Policy(model="thermostat-x1"))
    limits: DownloadLimits = field(default_factory=lambda: DownloadLimits(sync_bytes=4000))
    progress_step_percent: int | None = None
    twin: dict[str, Any] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)
    versions_run: list[str] = field(default_factory=list)
    """The version of each start."""
    restarts: int = 0

    def __post_init__(self) -> None:
        self.disk = VolatileDisk(self.power)
        self.clock = VirtualClock(self.power)
        self.server = VirtualServer(self.power, self.package)

    @property
    def payload(self) -> dict[str, Any]:
        return {
            "fwPackageUri": URL,
            "rolloutId": "r1",
            "attempt": 1,
            "version": NEW,
            "sha256": hashlib.sha256(self.package).hexdigest(),
            "sizeBytes": len(self.package),
        }

    def agent(self, installer: Installer | None = None) -> UpdateAgent:
        """Start the device. May lose power."""
        if installer is None:
            manufacture(self.disk, OLD)
            installer = SlotInstaller(self.disk, boot(self.disk), self.restart)
        product = Product(
            storage=self.disk,
            transport=self.server,
            clock=self.clock,
            installer=installer,
            health=self,
            readiness=self,
        )
        options = AgentOptions(
            policy=self.policy,
            limits=self.limits,
            progress_step_percent=self.progress_step_percent,
        )
        found = UpdateAgent(product, options)
        self.versions_run.append(found.version)
        return found

    def run_once(
        self, *payloads: dict[str, Any], installer: Installer | None = None
    ) -> list[MethodResponse]:
        """Run until no work is left or the device restarts. May lose power."""
        agent = self.agent(installer)
        agent.read_twin(self.twin)
        self._report(agent)
        responses = [agent.invoke("firmwareUpdate", payload) for payload in payloads]
        while agent.has_work or agent.next_report():
            self._report(agent)
            if agent.has_work:
                agent.work(self._receive)
        return responses

    def run(self, *payloads: dict[str, Any]) -> list[MethodResponse]:
        """Run through all restarts that an update takes, without a crash."""
        responses = self.run_once(*payloads)
        handled = 0
        while self.restarts > handled:
            handled = self.restarts
            self.run_once()
        return responses

    def find_problem(self) -> str | None:
        self.power.tick()
        return self.health_problem if self.versions_run[-1] == NEW else None

    def find_deferral(self) -> Deferral | None:
        return self.deferral

    def _report(self, agent: UpdateAgent) -> None:
        while (report := agent.next_report()) is not None:
            self._receive(report)
            self.power.tick()
            agent.acknowledge(report)

    def _receive(self, report: Report) -> None:
        self.power.tick()
        if report.status == "completed":
            assert self.versions_run[-1] == NEW, (
                "completed was reported before the new firmware ran"
            )
        self.reports.append(report)
        merge(self.twin, report.patch)

    def restart(self) -> None:
        self.power.tick()
        self.restarts += 1


def merge(twin: dict[str, Any], patch: dict[str, Any]) -> None:
    """Merge reported properties as a hub does."""
    for name, value in patch.items():
        if isinstance(value, dict):
            merge(twin.setdefault(name, {}), value)
        elif value is None:
            twin.pop(name, None)
        else:
            twin[name] = value
