"""Run the programs that a benchmark measures, each in a process of its own."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from simulator.hub.loopback import free_address

START_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A hub that listens; `connection_string` has the policy iothubowner."""

    process: psutil.Process
    address: str
    https_port: int
    mqtt_port: int
    connection_string: str
    certificates: Path

    @property
    def megabytes(self) -> float:
        """Resident memory, in MB."""
        return float(self.process.memory_info().rss) / 1e6


@contextmanager
def hub() -> Iterator[Hub]:
    """Run a hub on free ports until the block ends."""
    address = free_address()
    with tempfile.TemporaryDirectory() as directory:
        command = ["hub", "--address", address, "--certificates", directory]
        with program("simulator", *command, "--https-port", "0", "--mqtt-port", "0") as started:
            lines = lines_until(started, "hub ready")
            *_, https, mqtt = lines[-1].replace(",", "").rsplit(" ", 2)
            yield Hub(
                process=psutil.Process(started.pid),
                address=address,
                https_port=_port(https),
                mqtt_port=_port(mqtt),
                connection_string=lines[0].split()[1],
                certificates=Path(directory),
            )


@contextmanager
def fleet(hub: Hub, devices: int) -> Iterator[psutil.Process]:
    """Run simulated devices whose stages take no time, until the block ends."""
    command = [
        *("simulator", "fleet", "--devices", str(devices), "--stage-seconds", "0"),
        *("--connection-string", hub.connection_string, "--mqtt-port", str(hub.mqtt_port)),
        *("--ca", str(hub.certificates / "ca.pem")),
    ]
    with program(*command, quiet=True) as started:
        yield psutil.Process(started.pid)


@contextmanager
def bare_endpoint(hub: Hub, body_bytes: int) -> Iterator[int]:
    """Run an aiohttp endpoint with the hub's certificate and this size of body; yield its port."""
    command = ["tests.bench.bare_endpoint", hub.address, str(hub.certificates), str(body_bytes)]
    with program(*command) as started:
        yield int(lines_until(started, "port")[-1].split()[1])


@contextmanager
def program(module: str, *arguments: str, quiet: bool = False) -> Iterator[subprocess.Popen[str]]:
    """Run `python -m module` until the block ends, then end it by SIGTERM."""
    command = [sys.executable, "-u", "-m", module, *arguments]
    output = subprocess.DEVNULL if quiet else subprocess.PIPE
    with subprocess.Popen(command, stdout=output, text=True, env=os.environ.copy()) as started:
        try:
            yield started
        finally:
            started.terminate()


def lines_until(started: subprocess.Popen[str], begin: str) -> list[str]:
    """Return the output up to the line that begins so. Raises RuntimeError if it ends before."""
    lines = []
    for line in started.stdout or ():
        lines.append(line.strip())
        if line.startswith(begin):
            return lines
    raise RuntimeError(f"the program ended before it printed {begin!r}")


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])
