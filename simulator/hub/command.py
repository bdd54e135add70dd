"""The hub as a program: runs until it is told to stop."""

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

# The ports that SDKs have built in.
_MQTT_PORT, _HTTPS_PORT = 8883, 443
# What the program itself and its services have open, generously.
_OPEN_FILES = 500
EXIT_STOPPED = 0
EXIT_PORT_TAKEN = 2


def run(options: HubOptions) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code.

    0, or 2 for a port, a state file or a quota that cannot be had.
    """
    save_memory()
    # As many devices as the system lets it have; macOS may stop at 10,240 files.
    _ = allow_open_files(options.max_connections + _OPEN_FILES) or allow_open_files(10_240)
    try:
        asyncio.run(_run(options))
    except (PortTakenError, StateError, QuotaError) as error:
        print(error, file=sys.stderr)
        return EXIT_PORT_TAKEN
    return EXIT_STOPPED


def faults_in(file: Path | None) -> FaultPlan:
    """The faults of a JSON file, none without one. Ends the program if it cannot be read."""
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
    """How to connect, as plain text; its last line begins with `hub ready`."""
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
        f"look     {local}metrics, {local}events, {local}faults",
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
