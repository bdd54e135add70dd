"""Who a device is and whom it dials, read from its connection string."""

import ipaddress
from dataclasses import dataclass


class ConnectionStringError(ValueError):
    """A connection string that no device can use; the message never repeats the string."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The parts of a device's connection string that are no secret."""

    device_id: str
    dialled_host: str
    """GatewayHostName if there is one, else HostName: the name in TLS, too."""

    @property
    def is_local(self) -> bool:
        """Whether the host is this machine."""
        if self.dialled_host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.dialled_host).is_loopback
        except ValueError:
            return False


def identity(connection_string: str) -> Identity:
    """Read `HostName=...;DeviceId=...;SharedAccessKey=...`. Raises ConnectionStringError."""
    parts = dict(part.partition("=")[::2] for part in connection_string.strip().split(";"))
    missing = [name for name in ("HostName", "DeviceId", "SharedAccessKey") if not parts.get(name)]
    if missing:
        raise ConnectionStringError(
            f"the device's connection string lacks {', '.join(missing)}; it has the form "
            "HostName=<hub>;DeviceId=<id>;SharedAccessKey=<key>"
        )
    host = parts.get("GatewayHostName") or parts["HostName"]
    if ":" in host:
        # The SDK's MQTT transport has port 8883 fixed and takes "localhost:8883" for a name.
        raise ConnectionStringError("a device dials port 8883: HostName must have no port")
    return Identity(device_id=parts["DeviceId"], dialled_host=host)
