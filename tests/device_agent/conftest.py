"""Fixtures: a device that really downloads, and a server whose responses a test scripts."""

import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from device_agent.disk import FolderStorage
from device_agent.download import DownloadedPackage, Downloader
from device_agent.download_limits import DownloadLimits
from device_agent.errors import UpdateFailedError
from device_agent.http_transport import HttpTransport
from device_agent.offer import Offer
from device_agent.package_addresses import AddressRules
from device_agent.partial_package import PACKAGE
from device_agent.proxies import Proxies
from device_agent.update import Update
from tests.device_agent.scripted_server import ScriptedServer

SECRET = "hush"  # in the user and the query of every address
LIMIT = 300_000


class RealClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass
class DownloadingDevice:
    """A device with the real transport and a real folder; change `limits` and `rules` freely."""

    path: Path
    ca_file: str | None = None
    rules: AddressRules = field(default_factory=AddressRules)
    limits: DownloadLimits = field(
        default_factory=lambda: DownloadLimits(
            max_package_bytes=LIMIT, max_attempts=4, first_pause_seconds=0.001, max_seconds=20
        )
    )
    silence_seconds: float = 5.0
    proxies: Proxies | None = field(default_factory=Proxies)
    transport: HttpTransport | None = None

    def fetch(
        self, url: str, package: bytes | None = None, *, size: int | None = None
    ) -> DownloadedPackage:
        """Download from `url`, expecting the hash of `package` and `size` if they are given."""
        self.transport = HttpTransport(
            RealClock(),
            self.rules,
            ca_file=self.ca_file,
            silence_seconds=self.silence_seconds,
            proxies=self.proxies,
        )
        downloader = Downloader(
            FolderStorage(self.path), self.transport, RealClock(), self.limits, lambda _: 0
        )
        expected = None if package is None else sha256(package).hexdigest()
        offer = Offer(update=Update(), url=url, sha256=expected, size_bytes=size)
        return downloader.fetch(offer, lambda _received, _size: None)

    def code(self, url: str, package: bytes | None = None, *, size: int | None = None) -> str:
        """Return the code of the failed download, and check that the failure shows no secret."""
        return self.failure(url, package, size=size).code

    def failure(
        self, url: str, package: bytes | None = None, *, size: int | None = None
    ) -> UpdateFailedError:
        """Return the failure of the download, and check that it shows no secret."""
        with pytest.raises(UpdateFailedError) as failed:
            self.fetch(url, package, size=size)
        shown = "".join(traceback.format_exception(failed.value))
        assert SECRET not in shown
        assert len(failed.value.message) < 300
        return failed.value

    def stop(self) -> None:
        """Interrupt the download from another thread, once its transport exists."""
        while self.transport is None:
            time.sleep(0.01)
        self.transport.interrupt()

    @property
    def content(self) -> bytes:
        """The part of the package on the disk."""
        file = self.path / PACKAGE
        return file.read_bytes() if file.exists() else b""


@pytest.fixture
def device(tmp_path: Path) -> Iterator[DownloadingDevice]:
    found = DownloadingDevice(tmp_path / "device")
    yield found
    files = found.path.iterdir() if found.path.exists() else ()
    assert sum(file.stat().st_size for file in files) <= LIMIT + 2000


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    running = ScriptedServer()
    yield running
    running.close()


@pytest.fixture
def url(server: ScriptedServer) -> str:
    return f"http://user:{SECRET}@127.0.0.1:{server.port}/fw.bin?sig={SECRET}"


@pytest.fixture(autouse=True)
def _secrets_stay_secret(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level("DEBUG")
    yield
    assert SECRET not in caplog.text
