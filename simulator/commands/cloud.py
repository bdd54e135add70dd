"""The commands `up` and `demo`, and the options that several commands share.

Reads arguments and hands them on; what a command needs is imported inside it.
"""
# ruff: noqa: PLC0415

from pathlib import Path
from typing import Annotated

import typer

from simulator.cloud.options import CloudOptions

DEFAULTS = CloudOptions()

Address = Annotated[
    str, typer.Option(envvar="FLEET_ADDRESS", help="The loopback address to listen on.")
]
LocalDirectory = Annotated[
    Path, typer.Option(help="The folder for state, certificates and logs.", show_default=".local")
]
HostPort = Annotated[
    int, typer.Option(envvar="FLEET_HOST_PORT", help="Functions host, HTTP.", min=1, max=65535)
]
HubHttpsPort = Annotated[
    int, typer.Option(envvar="FLEET_HUB_HTTPS_PORT", help="Hub, HTTPS.", min=1, max=65535)
]
HubMqttPort = Annotated[
    int,
    typer.Option(
        envvar="FLEET_HUB_MQTT_PORT",
        help="Hub, MQTT over TLS. The Python device SDK dials 8883 whatever this says.",
        min=1,
        max=65535,
    ),
]
BlobPort = Annotated[
    int, typer.Option(envvar="FLEET_BLOB_PORT", help="Azurite, blobs.", min=1, max=65535)
]
QueuePort = Annotated[
    int, typer.Option(envvar="FLEET_QUEUE_PORT", help="Azurite, queues.", min=1, max=65535)
]
TablePort = Annotated[
    int, typer.Option(envvar="FLEET_TABLE_PORT", help="Azurite, tables.", min=1, max=65535)
]
StageSeconds = Annotated[
    float, typer.Option(help="Length of each stage of an update on a device, in seconds.", min=0)
]


def up(
    *,
    devices: Annotated[
        int, typer.Option(help="Simulated devices: thermostat-1 and on.", min=0)
    ] = 1,
    stage_seconds: StageSeconds = 15,
    install: Annotated[
        bool,
        typer.Option("--install", help="Devices that really download and install, and a package."),
    ] = False,
    address: Address = DEFAULTS.address,
    host_port: HostPort = DEFAULTS.host_port,
    hub_https_port: HubHttpsPort = DEFAULTS.hub_https_port,
    hub_mqtt_port: HubMqttPort = DEFAULTS.hub_mqtt_port,
    blob_port: BlobPort = DEFAULTS.blob_port,
    queue_port: QueuePort = DEFAULTS.queue_port,
    table_port: TablePort = DEFAULTS.table_port,
    local_directory: LocalDirectory = DEFAULTS.local_directory,
    advance_schedule: Annotated[
        str,
        typer.Option(
            envvar="ROLLOUT_ADVANCE_SCHEDULE",
            help="When the service follows its devices: NCRONTAB, six fields, seconds first.",
        ),
    ] = DEFAULTS.advance_schedule,
) -> None:
    """The whole local cloud, kept running until Ctrl-C."""
    from simulator.cloud.up import UpOptions, run

    cloud = CloudOptions(
        address=address,
        host_port=host_port,
        hub_https_port=hub_https_port,
        hub_mqtt_port=hub_mqtt_port,
        blob_port=blob_port,
        queue_port=queue_port,
        table_port=table_port,
        local_directory=local_directory.resolve(),
        advance_schedule=advance_schedule,
    )
    options = UpOptions(cloud=cloud, devices=devices, stage_seconds=stage_seconds, install=install)
    raise typer.Exit(run(options))


def demo(
    *,
    devices: Annotated[
        int, typer.Option(help="Simulated devices: thermostat-1 and on.", min=1)
    ] = 3,
    stage_seconds: StageSeconds = 1,
    address: Address = DEFAULTS.address,
    host_port: HostPort = DEFAULTS.host_port,
    hub_https_port: HubHttpsPort = DEFAULTS.hub_https_port,
    hub_mqtt_port: HubMqttPort = DEFAULTS.hub_mqtt_port,
    blob_port: BlobPort = DEFAULTS.blob_port,
    queue_port: QueuePort = DEFAULTS.queue_port,
    table_port: TablePort = DEFAULTS.table_port,
    local_directory: LocalDirectory = DEFAULTS.local_directory,
) -> None:
    """A rollout from POST to completed devices, on a local cloud of its own."""
    from simulator.cloud.demo import DemoOptions, run

    cloud = CloudOptions(
        address=address,
        host_port=host_port,
        hub_https_port=hub_https_port,
        hub_mqtt_port=hub_mqtt_port,
        blob_port=blob_port,
        queue_port=queue_port,
        table_port=table_port,
        local_directory=local_directory.resolve(),
        # Every second, so that no stage of a second goes unseen.
        advance_schedule="* * * * * *",
        keep_data=False,
    )
    raise typer.Exit(run(DemoOptions(cloud=cloud, devices=devices, stage_seconds=stage_seconds)))
