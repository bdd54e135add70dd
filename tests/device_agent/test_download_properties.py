"""Test downloads from any server over any connection: right bytes, clear failures, no repeats."""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from device_agent.download import Downloader
from device_agent.download_limits import DownloadLimits
from device_agent.errors import UpdateFailedError
from device_agent.offer import Offer
from device_agent.partial_package import PACKAGE
from device_agent.update import Update
from tests.device_agent.bench_device import CHUNK, URL, Bench, VirtualServer

SIZES = st.integers(1, 6 * CHUNK)
CODES = {"hashMismatch", "sizeMismatch", "downloadFailed", "tooSlow", "tooLarge", "noSpace"}


@dataclass(kw_only=True)
class ChangingServer(VirtualServer):
    """A server that has another package after each of `changes` connections."""

    versions: list[bytes] = field(default_factory=list)
    changes: list[int] = field(default_factory=list)
    tagged: bool = True
    connections: int = 0

    def get(self, url: str, offset: int, etag: str | None, seconds: float) -> Any:
        self.connections += 1
        index = sum(self.connections > change for change in self.changes)
        self.package = self.versions[index % len(self.versions)]
        self.etag = f'"{index % len(self.versions)}"' if self.tagged else None
        return super().get(url, offset, etag, seconds)


@st.composite
def servers(draw: st.DrawFn) -> ChangingServer:
    sizes = draw(st.lists(SIZES, min_size=1, max_size=4))
    versions = [bytes([number + 1]) * size for number, size in enumerate(sizes)]
    return ChangingServer(
        power=Bench().power,
        package=versions[0],
        versions=versions,
        changes=draw(st.lists(st.integers(1, 12), max_size=3).map(sorted)),
        cuts=draw(st.lists(st.integers(0, 3 * CHUNK), max_size=14)),
        resumes=draw(st.booleans()),
        total=draw(st.sampled_from([None, None, 0])),
        tagged=draw(st.booleans()),
    )


@dataclass
class _Device:
    bench: Bench = field(default_factory=Bench)

    def fetch(self, server: ChangingServer, offer: Offer) -> str | None:
        """Download and return the code of the failure; None if it succeeds."""
        limits = DownloadLimits(sync_bytes=2 * CHUNK, max_package_bytes=10 * CHUNK, max_attempts=6)
        downloader = Downloader(self.bench.disk, server, self.bench.clock, limits, lambda _: 0)
        try:
            fetched = downloader.fetch(offer, lambda _received, _size: None)
        except UpdateFailedError as error:
            return error.code
        assert fetched.size_bytes == len(self.content)
        assert fetched.sha256 == sha256(self.content).hexdigest()
        return None

    @property
    def content(self) -> bytes:
        return bytes(self.bench.disk.seen[PACKAGE])


def _offer(package: bytes, *, hashed: bool, sized: bool) -> Offer:
    return Offer(
        update=Update(),
        url=URL,
        sha256=sha256(package).hexdigest() if hashed else None,
        size_bytes=len(package) if sized else None,
    )


@given(servers(), st.booleans(), st.booleans())
def test_a_download_ends_with_the_right_bytes_or_a_clear_failure(
    server: ChangingServer, hashed: bool, sized: bool
) -> None:
    device, first = _Device(), server.versions[0]
    for _ in range(3):
        code = device.fetch(server, _offer(first, hashed=hashed, sized=sized))
        if code is None:
            assert device.content in ([first] if hashed else server.versions)
            assert len(device.content) == len(first) or not sized
            return
        assert code in CODES
        assert code == "downloadFailed" or server.changes


@given(servers(), st.booleans(), st.booleans())
def test_an_unchanged_package_is_never_sent_twice(
    server: ChangingServer, hashed: bool, sized: bool
) -> None:
    assume(hashed or server.tagged)
    server.changes, server.resumes = [], True
    device, package = _Device(), server.versions[0]
    codes = [device.fetch(server, _offer(package, hashed=hashed, sized=sized)) for _ in range(4)]
    assert set(codes) <= {None, "downloadFailed"}
    assert codes[-1] is None
    assert device.content == package
    assert server.sent <= len(package)
