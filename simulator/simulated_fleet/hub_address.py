"""Read a hub's address and the service's key from the service's connection string."""

from dataclasses import dataclass, field
from typing import Self

from device_agent.connection_string import missing_fields, split_fields

_HTTPS_PORT = 443


@dataclass(frozen=True, slots=True, kw_only=True)
class HubAddress:
    """A hub, and the policy with which the service registers devices there."""

    host: str
    """The host name without a port, as in user names and tokens."""
    https_port: int
    """The port of the service API."""
    policy: str
    """The name of the shared access policy."""
    key: str = field(repr=False)
    """The policy's key, base64."""

    @classmethod
    def parse(cls, connection_string: str) -> Self:
        """Parse `HostName=...;SharedAccessKeyName=...;SharedAccessKey=...`.

        Raises ValueError; the message never repeats the string.
        """
        fields = split_fields(connection_string)
        names = ("HostName", "SharedAccessKeyName", "SharedAccessKey")
        missing = missing_fields(fields, names)
        if missing:
            raise ValueError(
                f"the service's connection string lacks {', '.join(missing)}; expected "
                "HostName=<hub>;SharedAccessKeyName=<policy>;SharedAccessKey=<key>"
            )
        host, _, port = fields["HostName"].partition(":")
        if port and not port.isdecimal():
            raise ValueError(f"the port of HostName is {port!r}; expected a number")
        return cls(
            host=host,
            https_port=int(port or _HTTPS_PORT),
            policy=fields["SharedAccessKeyName"],
            key=fields["SharedAccessKey"],
        )

    @property
    def url(self) -> str:
        """The URL of the service API, without a slash at its end."""
        return f"https://{self.host}:{self.https_port}"
