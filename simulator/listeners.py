"""The ports that the local cloud listens on: default, environment variable, listener."""

from dataclasses import dataclass

ADDRESS = "127.0.0.1"
"""The default address of every listener."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A server of the local cloud."""

    name: str
    """What listens, and the protocol."""
    port: int
    """The default port."""
    variable: str
    """The environment variable that sets another port."""


HOST = Listener(name="the Functions host, HTTP", port=7071, variable="FLEET_HOST_PORT")
HUB_HTTPS = Listener(name="the hub, HTTPS", port=8443, variable="FLEET_HUB_HTTPS_PORT")
HUB_MQTT = Listener(name="the hub, MQTT over TLS", port=8883, variable="FLEET_HUB_MQTT_PORT")
"""azure-iot-device connects to port 8883 only."""
BLOBS = Listener(name="Azurite, blobs", port=10000, variable="FLEET_BLOB_PORT")
QUEUES = Listener(name="Azurite, queues", port=10001, variable="FLEET_QUEUE_PORT")
TABLES = Listener(name="Azurite, tables", port=10002, variable="FLEET_TABLE_PORT")
