"""What a local cloud is started with, and what that makes of its addresses."""

from dataclasses import dataclass
from pathlib import Path

from simulator.azurite import AzuriteOptions
from simulator.places import LOCAL_DIRECTORY, REPOSITORY

# The stand-in's own default, public on purpose and valid on no other hub. Written here once more
# because importing the hub would bring its servers into every command.
HUB_KEY = "bG9jYWwtaHViLW9ubHktbm90LWEtc2VjcmV0LWtleSE="
# azure-iot-device has the port of MQTT over TLS fixed.
DEVICE_PORT = 8883


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudOptions:
    """Addresses, ports and places of a local cloud.

    `advance_schedule` is the NCRONTAB by which the host follows the devices. `keep_data` False
    starts with an empty storage account in a folder of its own.

    With a `tier` the hub holds to its quotas, without one it has none; the rollout service always
    paces itself, by the same tier or by S1, and uses `quota_share` of it. `throttle_scale`
    compresses the time of both. `hub_state` is a file in which the hub keeps its devices;
    `storage_access_log` writes down every request to the storage account.
    """

    address: str = "127.0.0.1"
    host_port: int = 7071
    hub_https_port: int = 8443
    hub_mqtt_port: int = DEVICE_PORT
    blob_port: int = 10000
    queue_port: int = 10001
    table_port: int = 10002
    local_directory: Path = LOCAL_DIRECTORY
    app_directory: Path = REPOSITORY
    advance_schedule: str = "*/10 * * * * *"
    keep_data: bool = True
    tier: str | None = None
    throttle_scale: float = 1
    quota_share: str = "80%"
    hub_state: Path | None = None
    storage_access_log: bool = False

    @property
    def azurite(self) -> AzuriteOptions:
        """The storage account."""
        return AzuriteOptions(
            address=self.address,
            blob_port=self.blob_port,
            queue_port=self.queue_port,
            table_port=self.table_port,
            location=self.local_directory / ("azurite-data" if self.keep_data else "azurite-demo"),
            log=self.logs / "azurite.log",
            access_log=self.storage_access_log,
        )

    @property
    def logs(self) -> Path:
        """The folder with one log for each part."""
        return self.local_directory / "logs"

    @property
    def ca(self) -> Path:
        """The authority that signed the hub's certificate; written by the hub as it starts."""
        return self.local_directory / "ca.pem"

    @property
    def api_url(self) -> str:
        """Where the rollout API begins, without a slash at its end."""
        return f"http://{self._reachable_as}:{self.host_port}/api"

    @property
    def service_connection_string(self) -> str:
        """What `IOTHUB_CONNECTION_STRING` is set to."""
        return (
            f"HostName={self._reachable_as}:{self.hub_https_port};"
            f"SharedAccessKeyName=iothubowner;SharedAccessKey={HUB_KEY}"
        )

    def device_connection_string(self, device_id: str, key: str) -> str:
        """What a device with this key connects with."""
        return f"HostName={self._reachable_as};DeviceId={device_id};SharedAccessKey={key}"

    @property
    def _reachable_as(self) -> str:
        return "localhost" if self.address == "127.0.0.1" else self.address
