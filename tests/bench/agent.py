"""Compare the agent's download with curl's: the same file, from the same server, in turn.

curl does not wait for the disk and hashes nothing; the agent does both.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.bench.figures import Figure
from tests.bench.processes import lines_until, program

MEGABYTES = 500
ROUNDS = 7
LIMIT, LIMITED_MEGABYTES = 10, 50  # MB/s, MB


@dataclass(frozen=True, slots=True)
class Served:
    url: str
    sha256: str
    megabytes: int
    folder: Path


def run() -> Iterator[Figure]:
    with TemporaryDirectory() as directory:
        folder = Path(directory)
        yield from _beside_curl(folder)
        yield from _limited(folder)


def _beside_curl(folder: Path) -> Iterator[Figure]:
    curl, curl_synced, agent, unsynced, memory = [], [], [], [], []
    for served in _served(folder, MEGABYTES):
        for _ in range(ROUNDS):
            curl.append(_curl(served))
            seconds, megabytes = _agent(served)
            curl_synced.append(_curl(served, sync=True))
            without, _ = _agent(served, sync=False)
            agent.append(seconds)
            unsynced.append(without)
            memory.append(megabytes)
    name = f"{MEGABYTES} MB"
    plain = _rate(f"{name} by curl", curl)
    synced = _rate(f"{name} by curl, then fsync", curl_synced)
    yield from (plain, synced)
    yield _compare(f"{name} by the agent without fsync", unsynced, plain, curl)
    yield _compare(f"{name} by the agent", agent, plain, curl)
    yield _compare(f"{name} by the agent", agent, synced, curl_synced)
    yield Figure(name="the agent's process, peak RSS", value=max(memory), unit="MB")


def _limited(folder: Path) -> Iterator[Figure]:
    for served in _served(folder, LIMITED_MEGABYTES):
        seconds, _ = _agent(served, limit=LIMIT)
        rate = LIMITED_MEGABYTES / seconds
        yield Figure(
            name=f"{LIMITED_MEGABYTES} MB by the agent, limited to {LIMIT} MB/s",
            value=rate,
            unit="MB/s",
            base=Figure(name="the limit", value=LIMIT, unit="MB/s"),
        )


def _rate(name: str, seconds: list[float]) -> Figure:
    return Figure(name=name, value=MEGABYTES / median(seconds), unit="MB/s")


def _compare(name: str, seconds: list[float], base: Figure, base_seconds: list[float]) -> Figure:
    """Return a rate with the median of the ratios of each round."""
    ratios = (b / s for b, s in zip(base_seconds, seconds, strict=True))
    rate = _rate(name, seconds).value
    return Figure(name=name, value=rate, unit="MB/s", base=base, median_ratio=median(ratios))


def _served(folder: Path, megabytes: int) -> Iterator[Served]:
    """Yield a file of random bytes; its server runs until the loop ends."""
    path, digest = folder / "fw.bin", hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(megabytes):
            block = os.urandom(10**6)
            file.write(block)
            digest.update(block)
    with program("tests.bench.file_server", str(path)) as started:
        port = lines_until(started, "port")[-1].split()[1]
        yield Served(f"http://127.0.0.1:{port}/fw.bin", digest.hexdigest(), megabytes, folder)


def _curl(served: Served, *, sync: bool = False) -> float:
    """Return the seconds of a download, without the start of the program."""
    target = served.folder / "curl.bin"
    command = ["curl", "-sS", "-o", str(target), "-w", "%{time_total}", served.url]
    seconds = float(subprocess.check_output(command, text=True))
    begun = time.perf_counter()
    if sync:
        with target.open("rb") as file:
            os.fsync(file.fileno())
        seconds += time.perf_counter() - begun
    target.unlink()
    return seconds


def _agent(served: Served, *, limit: int = 0, sync: bool = True) -> tuple[float, float]:
    """Return the seconds of a download, without the start of the program, and MB of memory."""
    command = [
        *(sys.executable, "-m", "tests.bench.agent_download", served.url),
        *(str(served.folder / "agent"), served.sha256, str(limit * 10**6)),
        "synced" if sync else "unsynced",
    ]
    found = json.loads(subprocess.check_output(command, text=True))
    return found["seconds"], found["megabytes"]
