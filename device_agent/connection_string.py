"""Who a device is and whom it dials, read from its connection string."""

import ipaddress
from dataclasses import dataclass


class ConnectionStringError(ValueError):
    """A connection string that no device can use; the message never repeats the string."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceIdentity:
    """The parts of a device's connection string that are no secret."""

    device_id: str
    host_name: str
    dialled_host: str
    """GatewayHostName if there is one, else HostName: the name in TLS, too."""
    is_x509: bool
    """Whether the device has a certificate in place of a key."""

    @property
    def is_local(self) -> bool:
        """Whether the host is this machine."""
        if self.dialled_host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.dialled_host).is_loopback
        except ValueError:
            return False


def read_identity(connection_string: str) -> DeviceIdentity:
    """Read `HostName=...;DeviceId=...;SharedAccessKey=...`, or `...;x509=true`.

    Raises ConnectionStringError.
    """
    parts = dict(part.partition("=")[::2] for part in connection_string.strip().split(";"))
    is_x509 = parts.get("x509", "").lower() == "true"
    _check(parts, is_x509=is_x509)
    host = parts.get("GatewayHostName") or parts["HostName"]
    if ":" in host:
        # The SDK's MQTT transport has port 8883 fixed and takes "localhost:8883" for a name.
        raise ConnectionStringError("a device dials port 8883: HostName must have no port")
    return DeviceIdentity(
        device_id=parts["DeviceId"],
        host_name=parts["HostName"],
        dialled_host=host,
        is_x509=is_x509,
    )


def _check(parts: dict[str, str], *, is_x509: bool) -> None:
    needed = ["HostName", "DeviceId"] if is_x509 else ["HostName", "DeviceId", "SharedAccessKey"]
    missing = [name for name in needed if not parts.get(name)]
    if missing:
        raise ConnectionStringError(
            f"the device's connection string lacks {', '.join(missing)}; it has the form "
            "HostName=<hub>;DeviceId=<id>;SharedAccessKey=<key>, or x509=true in place of the key"
        )
    if is_x509 and parts.get("SharedAccessKey"):
        raise ConnectionStringError(
            "a device has a key or a certificate: its connection string has both SharedAccessKey "
            "and x509=true"
        )
