"""Run Azurite, Microsoft's storage emulator, as a child process.

`make setup` installs it from npm under `.local/azurite`.
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from simulator.listeners import ADDRESS, BLOBS, QUEUES, TABLES
from simulator.paths import LOCAL_DIRECTORY, find_node

EXECUTABLE = LOCAL_DIRECTORY / "azurite/node_modules/.bin/azurite"
# Node 22 keeps what it compiled there: a start then takes a third less processor time.
_COMPILE_CACHE = LOCAL_DIRECTORY / "azurite/compile-cache"

# The emulator's well-known account: public, and valid on no other storage account
# (Microsoft Learn, "Use the Azurite emulator", section "Well-known storage account and key").
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


class AzuriteError(RuntimeError):
    """Azurite is not installed, or did not start."""


def connection_string(
    address: str = ADDRESS,
    blob_port: int = BLOBS.port,
    queue_port: int = QUEUES.port,
    table_port: int = TABLES.port,
) -> str:
    """Return a connection string; the defaults are those of `UseDevelopmentStorage=true`."""
    ports = {"Blob": blob_port, "Queue": queue_port, "Table": table_port}
    parts = [
        "DefaultEndpointsProtocol=http",
        f"AccountName={ACCOUNT}",
        f"AccountKey={ACCOUNT_KEY}",
        *(f"{name}Endpoint=http://{address}:{port}/{ACCOUNT}" for name, port in ports.items()),
    ]
    return ";".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class AzuriteOptions:
    """Where Azurite listens, and where it keeps its data."""

    location: Path
    """The folder of its data."""
    address: str = ADDRESS
    blob_port: int = BLOBS.port
    queue_port: int = QUEUES.port
    table_port: int = TABLES.port
    log: Path | None = None
    """The file of its output; None: azurite.log in `location`."""
    access_log: bool = False
    """Whether the log has a line for each request."""
    in_memory: bool = False
    """Whether it writes no data to its folder."""

    @property
    def connection_string(self) -> str:
        """The value of `AzureWebJobsStorage`."""
        return connection_string(self.address, self.blob_port, self.queue_port, self.table_port)


def start(options: AzuriteOptions) -> subprocess.Popen[bytes]:
    """Start Azurite and return once its three ports can be connected to. Raises AzuriteError."""
    node = find_node()
    if node is None or not EXECUTABLE.exists():
        raise AzuriteError("Azurite or Node is not installed: run `make setup`")
    options.location.mkdir(parents=True, exist_ok=True)
    log = options.log or options.location / "azurite.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [node, *_command(options)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ
            | {
                "AZURITE_ACCOUNTS": f"{ACCOUNT}:{ACCOUNT_KEY}",
                "NODE_COMPILE_CACHE": str(_COMPILE_CACHE),
            },
        )
    _wait_until_listening(process, options, log)
    return process


def stop(process: subprocess.Popen[bytes], *, seconds: float = 5) -> None:
    """Stop Azurite; kill it if it has not ended within `seconds`."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def run(options: AzuriteOptions) -> Iterator[str]:
    """Run Azurite for the length of a `with` block; yield the connection string."""
    process = start(options)
    try:
        yield options.connection_string
    finally:
        stop(process)


def _command(options: AzuriteOptions) -> list[str]:
    arguments = [
        str(EXECUTABLE),
        *([] if options.access_log else ["--silent"]),
        "--disableTelemetry",
        # The storage SDKs name API versions that are newer than the emulator's list.
        "--skipApiVersionCheck",
        *(
            ["--inMemoryPersistence"]
            if options.in_memory
            else ["--location", str(options.location)]
        ),
    ]
    ports = {
        "blob": options.blob_port,
        "queue": options.queue_port,
        "table": options.table_port,
    }
    for service, port in ports.items():
        arguments += [f"--{service}Host", options.address, f"--{service}Port", str(port)]
    return arguments


def _data_arguments(options: AzuriteOptions) -> list[str]:
    return ["--inMemoryPersistence"] if options.in_memory else ["--location", str(options.location)]


def _wait_until_listening(
    process: subprocess.Popen[bytes], options: AzuriteOptions, log: Path, seconds: float = 30
) -> None:
    deadline = time.monotonic() + seconds
    for port in (options.blob_port, options.queue_port, options.table_port):
        while not _is_listening(options.address, port):
            if process.poll() is not None:
                raise AzuriteError(f"Azurite ended at once; its log is {log}")
            if time.monotonic() > deadline:
                stop(process)
                raise AzuriteError(f"Azurite did not listen on port {port} within {seconds:g} s")
            time.sleep(0.05)


def _is_listening(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0
