"""How a local hub is set up."""

from dataclasses import dataclass, field
from pathlib import Path

from simulator import connection_strings
from simulator.connection_strings import DEVELOPMENT_KEY
from simulator.hub.model.configurations import RUN_SECONDS
from simulator.hub.model.faults import FaultPlan
from simulator.hub.model.quotas import Quota, Tier
from simulator.listeners import ADDRESS, HUB_HTTPS, HUB_MQTT

MAX_CONNECTIONS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HubOptions:
    """Where the hub listens, and as whom.

    Port 0 means any free port; the device SDKs dial 8883 whatever a connection string says.
    `host_names` are names to answer to besides localhost and the address: the HostName that a
    client keeps when it reaches the hub through GatewayHostName. `certificates` is a folder,
    made if missing. `query_lag_seconds` is how far queries are behind twin writes.
    `configuration_seconds` are between two runs of the automatic configurations. `state_file`
    keeps registry, twins and configurations from run to run; None keeps nothing. Without a `tier`
    nothing is throttled; `throttle_scale` compresses time: at 10, ten times the rate. `faults`
    are in force from the start. `max_connections` is for devices; one more is cut off.
    """

    certificates: Path
    address: str = ADDRESS
    https_port: int = HUB_HTTPS.port
    mqtt_port: int = HUB_MQTT.port
    key: str = field(default=DEVELOPMENT_KEY, repr=False)
    query_lag_seconds: float = 0.0
    configuration_seconds: float = RUN_SECONDS
    state_file: Path | None = None
    host_names: tuple[str, ...] = ()
    tier: Tier | None = None
    units: int = 1
    throttle_scale: float = 1
    faults: FaultPlan = field(default_factory=FaultPlan)
    max_connections: int = MAX_CONNECTIONS

    @property
    def quota(self) -> Quota | None:
        """Raises QuotaError."""
        if self.tier is None:
            return None
        return Quota(tier=self.tier, units=self.units, scale=self.throttle_scale)

    @property
    def host_name(self) -> str:
        """What stands as HostName in connection strings, without a port."""
        return connection_strings.host_name(self.address)

    @property
    def all_names(self) -> tuple[str, ...]:
        """Every name the hub answers to, and its certificate is for."""
        local = ("localhost", "127.0.0.1", "::1")
        return tuple(dict.fromkeys((*local, self.address, *self.host_names)))
