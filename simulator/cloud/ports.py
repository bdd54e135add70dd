"""Check the ports of a local cloud before anything starts."""

import errno
import os
import socket
from dataclasses import dataclass

from simulator import listeners
from simulator.cloud.errors import PortTakenError
from simulator.cloud.options import CloudOptions
from simulator.listeners import Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port of the local cloud, and how it is changed."""

    field: str
    """The name in CloudOptions."""
    listener: Listener

    @property
    def flag(self) -> str:
        """The option of `up` and `demo`."""
        return f"--{self.field.replace('_', '-')}"


PORTS = (
    Port(field="host_port", listener=listeners.HOST),
    Port(field="hub_https_port", listener=listeners.HUB_HTTPS),
    Port(field="hub_mqtt_port", listener=listeners.HUB_MQTT),
    Port(field="blob_port", listener=listeners.BLOBS),
    Port(field="queue_port", listener=listeners.QUEUES),
    Port(field="table_port", listener=listeners.TABLES),
)


def check(options: CloudOptions) -> None:
    """Raise PortTakenError, naming every port that cannot be listened on."""
    lines = [
        _message(port, options.address, getattr(options, port.field), reason)
        for port in PORTS
        if (reason := _refusal(options.address, getattr(options, port.field)))
    ]
    if lines:
        raise PortTakenError("\n".join(lines))


def _refusal(address: str, port: int) -> str | None:
    """Return why nothing can listen on the port; None if something can."""
    with socket.socket() as probe:
        # Without this option, a port that was just closed counts as taken for a minute.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "is taken by another program"
            return f"cannot be used ({os.strerror(error.errno or 0)})"
    return None


def _message(port: Port, address: str, number: int, reason: str) -> str:
    line = f"port {number} on {address} ({port.listener.name}) {reason}: "
    if port.listener is listeners.HUB_MQTT and number == port.listener.port:
        return line + (
            f"choose another address, such as --address 127.0.0.2 or FLEET_ADDRESS=127.0.0.2; "
            f"another port ({port.flag} or {port.listener.variable}) is of little use, because "
            f"devices on the azure-iot-device SDK connect to {number} only"
        )
    return f"{line}choose another with {port.flag} or {port.listener.variable}"
