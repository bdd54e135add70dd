"""Test the memory, the rate and the disk space of a download."""

import random
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest

from device_agent.disk import FolderStorage
from device_agent.download import Downloader
from device_agent.download_limits import DownloadLimits
from device_agent.errors import SwitchedOffError, UpdateFailedError
from device_agent.offer import Offer
from device_agent.partial_package import PACKAGE
from device_agent.ports import PackageResponse
from device_agent.update import Update
from tests.device_agent.bench_device import URL, Bench
from tests.device_agent.conftest import DownloadingDevice, RealClock

BLOCK = random.Random(3).randbytes(256 << 10)  # noqa: S311


@dataclass
class BlockTransport:
    """A transport of n equal blocks that are never all in memory."""

    blocks: int
    total: int | None = None

    @contextmanager
    def get(
        self, url: str, offset: int, etag: str | None, seconds: float
    ) -> Iterator[PackageResponse]:
        assert (url, offset, etag) == (URL, 0, None)
        assert seconds > 0
        blocks = (bytes(BLOCK) for _ in range(self.blocks))
        yield PackageResponse(offset=0, total=self.total, etag=None, chunks=blocks)


def test_a_large_package_needs_little_memory(tmp_path: Path) -> None:
    blocks, expected = 256, sha256()
    for _ in range(blocks):
        expected.update(BLOCK)
    offer = Offer(update=Update(), url=URL, sha256=expected.hexdigest())
    folder, limits = FolderStorage(tmp_path), DownloadLimits(sync_bytes=32 << 20)
    downloader = Downloader(folder, BlockTransport(blocks), RealClock(), limits, lambda _: 0)
    tracemalloc.start()
    try:
        assert downloader.fetch(offer, lambda _received, _size: None).size_bytes == 64 << 20
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    downloader.discard()
    assert folder.size(PACKAGE) == 0


def test_the_rate_limit_is_never_exceeded_for_long() -> None:
    """Make up for at most one second of a pause, without a burst after it."""
    bench, rate = Bench(), 1000
    limits = DownloadLimits(bytes_per_second=rate, first_pause_seconds=60)
    bench.server.cuts = [3000]
    downloader = Downloader(bench.disk, bench.server, bench.clock, limits, lambda _: 0)
    seen: list[tuple[float, int]] = []
    offer = Offer(update=Update(), url=URL)
    downloader.fetch(offer, lambda received, _: seen.append((bench.clock.seconds, received)))
    for begun, before in seen:
        for now, received in seen:
            assert received - before <= rate * (now - begun + 2) or now < begun
    assert seen[-1][1] == len(bench.package)


def test_a_package_of_unknown_size_does_not_fill_the_disk() -> None:
    bench = Bench()
    bench.disk.space = 40 * len(BLOCK)
    downloader = Downloader(
        bench.disk, BlockTransport(1000), bench.clock, DownloadLimits(), lambda size: size
    )
    with pytest.raises(UpdateFailedError) as failed:
        downloader.fetch(Offer(update=Update(), url=URL), lambda _received, _size: None)
    assert failed.value.code == "noSpace"
    assert bench.disk.free_bytes() >= bench.disk.space // 2 - len(BLOCK)


def test_a_device_can_be_stopped_while_it_connects(device: DownloadingDevice) -> None:
    """Connect to a host whose queue of connections is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        filling = [socket.socket() for _ in range(4)]
        for each in filling:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        device.limits = replace(device.limits, max_attempts=2)
        device.silence_seconds = 10
        stopper = threading.Timer(0.3, device.stop)
        began = time.monotonic()
        stopper.start()
        with pytest.raises(SwitchedOffError):
            device.fetch(f"http://127.0.0.1:{full.getsockname()[1]}/fw.bin", b"x")
        stopper.join()
        for each in filling:
            each.close()
    assert 0.2 < time.monotonic() - began < 3
