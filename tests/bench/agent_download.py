"""Run one download by the agent, in a process that imports nothing else."""

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from device_agent.disk import FolderStorage
from device_agent.download import Downloader
from device_agent.download_limits import DownloadLimits
from device_agent.http_transport import HttpTransport
from device_agent.offer import Offer
from device_agent.package_addresses import AddressRules
from device_agent.update import Update


class _Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def main(url: str, folder: str, sha256: str, limit: str, sync: str) -> None:
    """Print the seconds and the peak of resident memory as JSON. A limit of 0 means no limit."""
    if sync == "unsynced":  # to measure what waiting for the disk costs
        os.fsync = lambda fd: None  # noqa: ARG005
    clock = _Clock()
    limits = DownloadLimits(bytes_per_second=int(limit) or None)
    transport = HttpTransport(clock, AddressRules())
    downloader = Downloader(FolderStorage(Path(folder)), transport, clock, limits, lambda _: 0)
    begun = time.perf_counter()
    downloader.fetch(Offer(update=Update(), url=url, sha256=sha256), lambda _received, _size: None)
    seconds = time.perf_counter() - begun
    downloader.discard()
    print(json.dumps({"seconds": seconds, "megabytes": _peak_megabytes()}))


def _peak_megabytes() -> float:
    """Return the peak of this process; `ru_maxrss` would include the parent's memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


if __name__ == "__main__":
    main(*sys.argv[1:])
