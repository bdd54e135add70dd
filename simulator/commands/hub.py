"""The command `hub`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from simulator.connection_strings import DEVELOPMENT_KEY
from simulator.listeners import ADDRESS, HUB_HTTPS, HUB_MQTT
from simulator.paths import LOCAL_DIRECTORY
from simulator.shared_options import Address, port_option

if TYPE_CHECKING:
    from simulator.hub import HubOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class HubArguments:
    """The command line of `hub`."""

    address: Address = ADDRESS
    https_port: Annotated[int, port_option(HUB_HTTPS, any_free=True)] = HUB_HTTPS.port
    mqtt_port: Annotated[int, port_option(HUB_MQTT, any_free=True)] = HUB_MQTT.port
    certificates: Annotated[
        Path, typer.Option(help="Folder of its certificates.", show_default=LOCAL_DIRECTORY.name)
    ] = LOCAL_DIRECTORY
    key: Annotated[
        str,
        typer.Option(help="The key of iothubowner, base64.", show_default="the development key"),
    ] = DEVELOPMENT_KEY
    query_lag_seconds: Annotated[
        float, typer.Option(help="Delay of queries behind twin writes, in seconds.", min=0)
    ] = 0
    state: Annotated[
        Path | None,
        typer.Option(
            help="File that keeps devices, modules, twins and configurations from run to run.",
            show_default="kept in memory only",
        ),
    ] = None
    tier: Annotated[
        Literal["F1", "S1", "S2", "S3"] | None,
        typer.Option(help="Apply the quotas of this tier.", show_default="no quotas"),
    ] = None
    units: Annotated[int, typer.Option(help="Number of units of the tier.", min=1)] = 1
    throttle_scale: Annotated[
        float,
        typer.Option(help="Time compression of the quotas: 10 is ten times the rate.", min=0.001),
    ] = 1
    drop_idle_seconds: Annotated[
        float | None,
        typer.Option(
            help="Drop connections to the HTTPS port that are idle for longer, silently, as a NAT"
            " does; Azure's after 240.",
            show_default="closes them after 75",
            min=0,
        ),
    ] = None
    faults: Annotated[
        Path | None,
        typer.Option(
            help="JSON file of faults that are active from the start, as for PUT /_local/faults.",
            show_default="none",
            exists=True,
            dir_okay=False,
        ),
    ] = None


def hub(arguments: HubArguments) -> int:
    """Run the local stand-in for Azure IoT Hub until Ctrl-C."""
    from simulator.hub.command import run

    return run(_options(arguments))


def _options(arguments: HubArguments) -> "HubOptions":
    """Return the hub's options. Exits with 2 if the file of faults cannot be read."""
    from simulator.hub import HubOptions
    from simulator.hub.command import faults_in
    from simulator.hub.model.quotas import Tier

    return HubOptions(
        address=arguments.address,
        https_port=arguments.https_port,
        mqtt_port=arguments.mqtt_port,
        certificates=arguments.certificates,
        key=arguments.key,
        query_lag_seconds=arguments.query_lag_seconds,
        state_file=arguments.state,
        tier=Tier(arguments.tier) if arguments.tier else None,
        units=arguments.units,
        throttle_scale=arguments.throttle_scale,
        faults=faults_in(arguments.faults),
        drop_idle_seconds=arguments.drop_idle_seconds,
    )
