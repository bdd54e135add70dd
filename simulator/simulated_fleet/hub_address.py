"""Where a fleet's hub is and who may register devices there, from the service's string."""

from dataclasses import dataclass, field
from typing import Self

_HTTPS_PORT = 443


@dataclass(frozen=True, slots=True, kw_only=True)
class HubAddress:
    """`host` is without a port: so it stands in user names and tokens."""

    host: str
    https_port: int
    policy: str
    key: str = field(repr=False)

    @classmethod
    def parse(cls, connection_string: str) -> Self:
        """Read `HostName=...;SharedAccessKeyName=...;SharedAccessKey=...`.

        Raises ValueError; the message never repeats the string.
        """
        parts = dict(part.partition("=")[::2] for part in connection_string.strip().split(";"))
        names = ("HostName", "SharedAccessKeyName", "SharedAccessKey")
        missing = [name for name in names if not parts.get(name)]
        if missing:
            raise ValueError(f"the service's connection string lacks {', '.join(missing)}")
        host, _, port = parts["HostName"].partition(":")
        if port and not port.isdecimal():
            raise ValueError("the port of HostName is not a number")
        return cls(
            host=host,
            https_port=int(port or _HTTPS_PORT),
            policy=parts["SharedAccessKeyName"],
            key=parts["SharedAccessKey"],
        )

    @property
    def url(self) -> str:
        """Of the service's API, without a slash at its end."""
        return f"https://{self.host}:{self.https_port}"
