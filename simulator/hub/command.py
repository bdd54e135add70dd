"""The hub as a program: runs until it is told to stop."""

import asyncio
import signal
import sys

from simulator.hub.local_hub import device_connection_string, service_connection_string
from simulator.hub.model.persistence import StateError
from simulator.hub.options import HubOptions
from simulator.hub.server import PortTakenError, RunningHub, serve

EXIT_STOPPED = 0
EXIT_PORT_TAKEN = 2


def run(options: HubOptions) -> int:
    """Serve until SIGTERM or SIGINT and return the exit code.

    0, or 2 for a port or a state file that cannot be had.
    """
    try:
        asyncio.run(_run(options))
    except (PortTakenError, StateError) as error:
        print(error, file=sys.stderr)
        return EXIT_PORT_TAKEN
    return EXIT_STOPPED


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
    service = service_connection_string(options, running.https_port)
    ca_file = running.certificates.ca_file
    lines = [
        f"service  {service}",
        f"device   {device_connection_string(options, '<id>', '<key from the registry>')}",
        f"trust    {ca_file}  (REQUESTS_CA_BUNDLE for services, SSL_CERT_FILE for devices)",
    ]
    if running.mqtt_port != 8883:  # noqa: PLR2004  the MQTT port that SDKs have built in
        lines.append("note     the Python device SDK reaches MQTT only at port 8883")
    lines.append(
        f"hub ready: https://{options.host_name}:{running.https_port}, "
        f"mqtts://{options.host_name}:{running.mqtt_port}"
    )
    return "\n".join(lines)
