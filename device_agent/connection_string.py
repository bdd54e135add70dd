"""Parse the connection strings of IoT Hub: a device's, and the fields of any."""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


class ConnectionStringError(ValueError):
    """An invalid connection string; the message never repeats the string."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceIdentity:
    """The parts of a device's connection string that are not secret."""

    device_id: str
    """The id in the hub's identity registry."""
    host_name: str
    """The hub's host name."""
    dialled_host: str
    """The host to connect to, also its name in TLS: GatewayHostName, or else HostName."""
    is_x509: bool
    """Whether the device authenticates with a certificate instead of a key."""

    @property
    def is_local(self) -> bool:
        """Whether the host to connect to is this machine."""
        return is_loopback(self.dialled_host)


def split_fields(connection_string: str) -> dict[str, str]:
    """Return the fields of `Name=value;Name=value`; a value may contain `=`."""
    return dict(part.partition("=")[::2] for part in connection_string.strip().split(";"))


def missing_fields(fields: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """Return those of `names` that are absent or empty, in order."""
    return [name for name in names if not fields.get(name)]


def is_loopback(host: str) -> bool:
    """Return whether `host` is localhost or a loopback address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_identity(connection_string: str) -> DeviceIdentity:
    """Parse `HostName=...;DeviceId=...;SharedAccessKey=...`, or `...;x509=true`.

    Raises ConnectionStringError.
    """
    fields = split_fields(connection_string)
    is_x509 = fields.get("x509", "").lower() == "true"
    _check(fields, is_x509=is_x509)
    host = fields.get("GatewayHostName") or fields["HostName"]
    if ":" in host:
        # The SDK's MQTT transport uses port 8883 only and takes "localhost:8883" for a name.
        raise ConnectionStringError(
            "HostName contains a port; devices connect to port 8883, so it must have no port"
        )
    return DeviceIdentity(
        device_id=fields["DeviceId"],
        host_name=fields["HostName"],
        dialled_host=host,
        is_x509=is_x509,
    )


def _check(fields: Mapping[str, str], *, is_x509: bool) -> None:
    needed = ["HostName", "DeviceId"] if is_x509 else ["HostName", "DeviceId", "SharedAccessKey"]
    missing = missing_fields(fields, needed)
    if missing:
        raise ConnectionStringError(
            f"the device's connection string lacks {', '.join(missing)}; expected "
            "HostName=<hub>;DeviceId=<id>;SharedAccessKey=<key>, or x509=true instead of the key"
        )
    if is_x509 and fields.get("SharedAccessKey"):
        raise ConnectionStringError(
            "the device's connection string has both SharedAccessKey and x509=true; a device has "
            "a key or a certificate: remove one of them"
        )
