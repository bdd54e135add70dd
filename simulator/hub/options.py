"""How a local hub is set up."""

from dataclasses import dataclass, field
from pathlib import Path

DEVELOPMENT_KEY = "bG9jYWwtaHViLW9ubHktbm90LWEtc2VjcmV0LWtleSE="
"""iothubowner's key unless told otherwise: public, and valid nowhere else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubOptions:
    """Where the hub listens, and as whom.

    Port 0 means any free port; the device SDKs dial 8883 whatever a connection string says.
    `host_names` are names to answer to besides localhost and the address: the HostName that a
    client keeps when it reaches the hub through GatewayHostName. `certificates` is a folder,
    made if missing. `query_lag_seconds` is how far queries are behind twin writes. `state_file`
    keeps registry, twins and configurations from run to run; None keeps nothing.
    """

    certificates: Path
    address: str = "127.0.0.1"
    https_port: int = 8443
    mqtt_port: int = 8883
    key: str = field(default=DEVELOPMENT_KEY, repr=False)
    query_lag_seconds: float = 0.0
    state_file: Path | None = None
    host_names: tuple[str, ...] = ()

    @property
    def host_name(self) -> str:
        """What stands as HostName in connection strings, without a port."""
        return "localhost" if self.address == "127.0.0.1" else self.address

    @property
    def all_names(self) -> tuple[str, ...]:
        """Every name the hub answers to, and its certificate is for."""
        local = ("localhost", "127.0.0.1", "::1")
        return tuple(dict.fromkeys((*local, self.address, *self.host_names)))
