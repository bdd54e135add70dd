"""Azurite, Microsoft's storage emulator, as a child process.

It comes from npm and is installed by `make setup` under `.local/azurite`.
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

from simulator.paths import LOCAL_DIRECTORY, find_node

EXECUTABLE = LOCAL_DIRECTORY / "azurite/node_modules/.bin/azurite"

# The emulator's well-known account: public, and valid nowhere else
# (Microsoft Learn, "Use the Azurite emulator", section "Well-known storage account and key").
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


class AzuriteError(RuntimeError):
    """Azurite is not installed, or did not start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AzuriteOptions:
    """Where Azurite listens, and the folder in which it keeps its data.

    With `access_log`, its log has a line for each request.
    """

    location: Path
    address: str = "127.0.0.1"
    blob_port: int = 10000
    queue_port: int = 10001
    table_port: int = 10002
    log: Path | None = None
    access_log: bool = False

    @property
    def connection_string(self) -> str:
        """What `AzureWebJobsStorage` is set to."""
        endpoints = (
            ("Blob", self.blob_port),
            ("Queue", self.queue_port),
            ("Table", self.table_port),
        )
        parts = [
            "DefaultEndpointsProtocol=http",
            f"AccountName={ACCOUNT}",
            f"AccountKey={ACCOUNT_KEY}",
        ]
        parts += [
            f"{name}Endpoint=http://{self.address}:{port}/{ACCOUNT}" for name, port in endpoints
        ]
        return ";".join(parts)


def start(options: AzuriteOptions) -> subprocess.Popen[bytes]:
    """Start Azurite and return once its three ports answer. Raises AzuriteError."""
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
            env=os.environ | {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{ACCOUNT_KEY}"},
        )
    _wait_until_listening(process, options, log)
    return process


def stop(process: subprocess.Popen[bytes], *, seconds: float = 5) -> None:
    """End Azurite; kill it if it does not leave within `seconds`."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def running(options: AzuriteOptions) -> Iterator[str]:
    """Azurite for the length of a `with` block; gives the connection string."""
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
        "--location",
        str(options.location),
    ]
    ports = {
        "blob": options.blob_port,
        "queue": options.queue_port,
        "table": options.table_port,
    }
    for service, port in ports.items():
        arguments += [f"--{service}Host", options.address, f"--{service}Port", str(port)]
    return arguments


def _wait_until_listening(
    process: subprocess.Popen[bytes], options: AzuriteOptions, log: Path, seconds: float = 30
) -> None:
    deadline = time.monotonic() + seconds
    for port in (options.blob_port, options.queue_port, options.table_port):
        while not _listening(options.address, port):
            if process.poll() is not None:
                raise AzuriteError(f"Azurite ended at once; its log is {log}")
            if time.monotonic() > deadline:
                stop(process)
                raise AzuriteError(f"Azurite did not listen on port {port} within {seconds:g} s")
            time.sleep(0.05)


def _listening(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0
