"""The options of a local hub."""

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
    """Where the hub listens and what it emulates. Port 0 means any free port."""

    certificates: Path
    """Folder of the certificates; created if missing."""
    address: str = ADDRESS
    https_port: int = HUB_HTTPS.port
    mqtt_port: int = HUB_MQTT.port
    """The device SDKs always connect to 8883, whatever a connection string says."""
    key: str = field(default=DEVELOPMENT_KEY, repr=False)
    """iothubowner's key, base64."""
    query_lag_seconds: float = 0.0
    """How far queries are behind twin writes."""
    configuration_seconds: float = RUN_SECONDS
    """Time between two runs of the automatic configurations."""
    state_file: Path | None = None
    """File for the identity registry, twins and configurations; None stores nothing."""
    host_names: tuple[str, ...] = ()
    """Names of this hub besides localhost and the address: the HostName that a client sends
    when it connects through GatewayHostName."""
    tier: Tier | None = None
    """None throttles nothing."""
    units: int = 1
    throttle_scale: float = 1
    """Compresses time: at 10, ten times the rate."""
    faults: FaultPlan = field(default_factory=FaultPlan)
    """In force from the start."""
    drop_idle_seconds: float | None = None
    """A connection to the HTTPS port on which nothing arrived for this long is dropped without
    telling its client, as by a NAT; None closes idle connections."""
    max_connections: int = MAX_CONNECTIONS
    """Connections of devices; one more is closed at once."""

    @property
    def quota(self) -> Quota | None:
        """Return the quota of the tier, or None. Raises QuotaError."""
        if self.tier is None:
            return None
        return Quota(tier=self.tier, units=self.units, scale=self.throttle_scale)

    @property
    def host_name(self) -> str:
        """Return the HostName of connection strings, without a port."""
        return connection_strings.host_name(self.address)

    @property
    def all_names(self) -> tuple[str, ...]:
        """Return every host name of the hub; its certificate is valid for each."""
        local = ("localhost", "127.0.0.1", "::1")
        return tuple(dict.fromkeys((*local, self.address, *self.host_names)))
