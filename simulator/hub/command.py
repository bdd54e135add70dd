"""The hub as a program, which runs until SIGTERM or SIGINT."""

import asyncio
import signal
import sys
from pathlib import Path

from simulator.connection_strings import device_connection_string, service_connection_string
from simulator.hub.model.errors import HubError
from simulator.hub.model.faults import FaultPlan
from simulator.hub.model.json_types import from_json
from simulator.hub.model.persistence import StateError
from simulator.hub.model.quotas import QuotaError
from simulator.hub.options import HubOptions
from simulator.hub.read_buffers import save_memory
from simulator.hub.rest.fault_bodies import read_fault_plan
from simulator.hub.server import PortTakenError, RunningHub, serve
from simulator.open_files import allow_open_files

# The ports that the SDKs use without a setting.
_MQTT_PORT, _HTTPS_PORT = 8883, 443
# Files that the program and its services have open, with a margin.
_OPEN_FILES = 500
EXIT_STOPPED = 0
EXIT_PORT_TAKEN = 2


def run(options: HubOptions) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code.

    The code is 0, or 2 if a port, the state file or the quota cannot be used.
    """
    save_memory()
    # The system limits how many devices can connect; macOS may allow 10,240 files only.
    _ = allow_open_files(options.max_connections + _OPEN_FILES) or allow_open_files(10_240)
    try:
        asyncio.run(_run(options))
    except (PortTakenError, StateError, QuotaError) as error:
        print(error, file=sys.stderr)
        return EXIT_PORT_TAKEN
    return EXIT_STOPPED


def faults_in(file: Path | None) -> FaultPlan:
    """Return the faults of a JSON file, or none. Exits if the file cannot be read."""
    if file is None:
        return FaultPlan()
    try:
        return read_fault_plan(from_json(file.read_bytes()))
    except (OSError, HubError) as error:
        print(f"--faults {file}: {error}", file=sys.stderr)
        raise SystemExit(EXIT_PORT_TAKEN) from error


async def _run(options: HubOptions) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    async with serve(options) as running:
        print(banner(options, running), flush=True)
        await stop.wait()


def banner(options: HubOptions, running: RunningHub) -> str:
    """Return how to connect, as plain text. The last line begins with `hub ready`."""
    service = service_connection_string(options.address, running.https_port, options.key)
    ca_file = running.certificates.ca_file
    local = f"https://{options.host_name}:{running.https_port}/_local/"
    lines = [
        f"service  {service}",
        f"device   {device_connection_string(options.address, '<id>', '<key from the registry>')}",
        f"trust    {ca_file}",
        "         REQUESTS_CA_BUNDLE for services, SSL_CERT_FILE for devices (Python);",
        "         NODE_EXTRA_CA_CERTS for both (Node)",
        f"mqtt     client id <id>, user {options.host_name}/<id>/?api-version=2021-04-12",
        f"observe  {local}metrics, {local}events, {local}faults",
    ]
    if running.mqtt_port != _MQTT_PORT:
        lines.append("note     the Python device SDK reaches MQTT only at port 8883")
    if running.https_port != _HTTPS_PORT:
        lines.append("note     Node's service SDK, and MQTT over WebSocket, need --https-port 443")
    lines.append(
        f"hub ready: https://{options.host_name}:{running.https_port}, "
        f"mqtts://{options.host_name}:{running.mqtt_port}"
    )
    return "\n".join(lines)
