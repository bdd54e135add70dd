"""The ports of a local cloud: looked at before anything starts."""

import errno
import os
import socket
from dataclasses import dataclass

from simulator.cloud.errors import PortTakenError
from simulator.cloud.options import DEVICE_PORT, CloudOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port of the local cloud, and how it is changed."""

    field: str
    """The name in CloudOptions."""
    owner: str

    @property
    def flag(self) -> str:
        """The option of `up` and `demo`."""
        return f"--{self.field.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"FLEET_{self.field.upper()}"


HOST_PORT = Port(field="host_port", owner="Functions host")
HUB_HTTPS_PORT = Port(field="hub_https_port", owner="hub, HTTPS")
HUB_MQTT_PORT = Port(field="hub_mqtt_port", owner="hub, MQTT")
BLOB_PORT = Port(field="blob_port", owner="Azurite, blobs")
QUEUE_PORT = Port(field="queue_port", owner="Azurite, queues")
TABLE_PORT = Port(field="table_port", owner="Azurite, tables")
PORTS = (HOST_PORT, HUB_HTTPS_PORT, HUB_MQTT_PORT, BLOB_PORT, QUEUE_PORT, TABLE_PORT)


def check(options: CloudOptions) -> None:
    """Return if every port can be listened on. Raises PortTakenError, naming all that cannot."""
    lines = [
        _complaint(port, options.address, getattr(options, port.field), reason)
        for port in PORTS
        if (reason := _refusal(options.address, getattr(options, port.field)))
    ]
    if lines:
        raise PortTakenError("\n".join(lines))


def _refusal(address: str, port: int) -> str | None:
    """Why nothing can listen there; None if something can."""
    with socket.socket() as probe:
        # Without this, a port just left would count as taken for a minute.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "is taken by another program"
            return f"cannot be used ({os.strerror(error.errno or 0)})"
    return None


def _complaint(port: Port, address: str, number: int, reason: str) -> str:
    line = (
        f"port {number} on {address} ({port.owner}) {reason}: "
        f"choose another with {port.flag} or {port.variable}"
    )
    if port is HUB_MQTT_PORT and number == DEVICE_PORT:
        line += (
            f"; devices on the azure-iot-device SDK dial {DEVICE_PORT} whatever it is, so rather "
            "choose another address, such as --address 127.0.0.2 or FLEET_ADDRESS=127.0.0.2"
        )
    return line
