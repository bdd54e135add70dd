"""Options of the local cloud and of the commands `up` and `demo`; addresses made from them."""

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import typer

from simulator import connection_strings, listeners
from simulator.azurite import AzuriteOptions
from simulator.command_line import Group, option_parser
from simulator.paths import LOCAL_DIRECTORY, REPOSITORY
from simulator.shared_options import Address, StageSeconds, port_option
from simulator.simulated_fleet.shares import share
from simulator.storage_proxy.options import StorageProxyOptions

EVERY_SECOND = "* * * * * *"
"""How often the demo runs the timer: stages of one second are then visible."""

Story = Literal["good", "bad"]

_DEVICES = "Number of simulated devices; their ids are thermostat-1, thermostat-2, ..."
# A fifth of these fail: two of them in the canary, or two in the rest, whatever the start order is.
_MIN_BAD_DEVICES = 15
_DEVICE_PORT_NOTE = f"The Python device SDK connects to {listeners.HUB_MQTT.port} only."


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudOptions:
    """Addresses, ports and folders of a local cloud."""

    address: Address = listeners.ADDRESS
    host_port: Annotated[int, port_option(listeners.HOST)] = listeners.HOST.port
    hub_https_port: Annotated[int, port_option(listeners.HUB_HTTPS)] = listeners.HUB_HTTPS.port
    hub_mqtt_port: Annotated[int, port_option(listeners.HUB_MQTT, note=_DEVICE_PORT_NOTE)] = (
        listeners.HUB_MQTT.port
    )
    blob_port: Annotated[int, port_option(listeners.BLOBS)] = listeners.BLOBS.port
    queue_port: Annotated[int, port_option(listeners.QUEUES)] = listeners.QUEUES.port
    table_port: Annotated[int, port_option(listeners.TABLES)] = listeners.TABLES.port
    local_directory: Annotated[
        Path,
        typer.Option(
            help="Folder for state, certificates and logs.",
            show_default=f"{LOCAL_DIRECTORY.name}; for another address, a folder in it",
            resolve_path=True,
        ),
    ] = LOCAL_DIRECTORY
    advance_schedule: Annotated[
        str,
        typer.Option(
            envvar="ROLLOUT_ADVANCE_SCHEDULE",
            help="When the service reads its devices: NCRONTAB, six fields, seconds first.",
        ),
    ] = "*/10 * * * * *"
    app_directory: Path = REPOSITORY
    """The folder of function_app.py and host.json."""
    keep_data: bool = True
    """Whether storage keeps the last run's data; if False, it starts empty in another folder."""
    tier: str | None = None
    """The hub keeps to the quotas of this tier; None: no quotas, and the service assumes S1."""
    assumed_tier: str | None = None
    """The tier whose quotas the service obeys if `tier` is None."""
    units: int = 1
    """How many units of `tier` or `assumed_tier` the hub has."""
    throttle_scale: float = 1
    """Time compression of the quotas, in the hub and in the service: 10 is ten times the rate."""
    quota_share: str = "80%"
    """The share of the hub's quotas that the service may use."""
    hub_state: Path | None = None
    """The file in which the hub keeps its devices; None keeps them in memory only."""
    storage_access_log: bool = False
    """Whether Azurite logs every request."""
    storage_proxy: StorageProxyOptions | None = None
    """A proxy between the Functions host and the storage emulator; None: no proxy."""

    def __post_init__(self) -> None:
        """Give each address a folder of its own, so that two clouds share nothing."""
        if self.local_directory == LOCAL_DIRECTORY and self.address != listeners.ADDRESS:
            object.__setattr__(self, "local_directory", LOCAL_DIRECTORY / self.address)

    @property
    def azurite(self) -> AzuriteOptions:
        """The options of the storage emulator."""
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
    def storage_connection_string(self) -> str:
        """The value of `AzureWebJobsStorage`."""
        if self.storage_proxy is not None:
            return self.storage_proxy.connection_string(self.address)
        return self.azurite.connection_string

    @property
    def logs(self) -> Path:
        """The folder with one log for each process."""
        return self.local_directory / "logs"

    @property
    def ca(self) -> Path:
        """The certificate of the hub's authority; the hub writes it when it starts."""
        return self.local_directory / "ca.pem"

    @property
    def api_url(self) -> str:
        """The URL of the rollout API, without a slash at its end."""
        return f"http://{connection_strings.host_name(self.address)}:{self.host_port}/api"

    @property
    def service_connection_string(self) -> str:
        """The value of `IOTHUB_CONNECTION_STRING`."""
        return connection_strings.service_connection_string(self.address, self.hub_https_port)

    def device_connection_string(self, device_id: str, key: str) -> str:
        """Return what a device with this key connects with."""
        return connection_strings.device_connection_string(self.address, device_id, key)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """A local cloud that is kept running, with its simulated devices."""

    devices: Annotated[int, typer.Option(help=_DEVICES, min=0)] = 1
    fail: Annotated[
        Decimal,
        typer.Option(
            help="Share of the devices whose updates fail at the end of applying.",
            parser=option_parser(share),
            metavar="<share>",
            show_default="0%",
        ),
    ] = Decimal(0)
    stage_seconds: StageSeconds = 15
    install: Annotated[
        bool,
        typer.Option(
            "--install", help="Devices download and install; a signed package is published."
        ),
    ] = False
    cloud: CloudOptions = field(default_factory=CloudOptions)

    def __post_init__(self) -> None:
        """Raise ValueError for options that exclude each other."""
        if self.install and self.fail:
            raise ValueError("devices of --install do not take part in --fail")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """A local cloud for one rollout, with its simulated devices."""

    story: Annotated[
        Story, typer.Option(help="good: an update that works; bad: one that the gate stops.")
    ] = "good"
    devices: Annotated[
        int | None, typer.Option(help=_DEVICES, min=1, show_default="3; 30 in the bad story")
    ] = None
    stage_seconds: StageSeconds = 1
    cloud: Annotated[
        CloudOptions, Group(fixed={"advance_schedule": EVERY_SECOND, "keep_data": False})
    ]

    def __post_init__(self) -> None:
        """Raise ValueError for too few devices to show a gate."""
        if self.story == "bad" and self.device_count < _MIN_BAD_DEVICES:
            raise ValueError(
                f"the bad story needs at least {_MIN_BAD_DEVICES} devices, not {self.devices}: "
                "with fewer, too few fail for the gate to stop the rollout"
            )

    @property
    def device_count(self) -> int:
        """The number of devices, by default as many as the story needs."""
        return self.devices or (30 if self.story == "bad" else 3)
