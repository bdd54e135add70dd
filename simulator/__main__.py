"""The local cloud's command line: `python -m simulator --help`.

Reads arguments and hands them on. What a command needs is imported inside it, so that each starts
as fast as its own part allows.
"""
# ruff: noqa: PLC0415

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from simulator.commands.cloud import DEFAULTS, Address, demo, up
from simulator.commands.device import device
from simulator.commands.firmware import keygen, sign, verify
from simulator.commands.fleet import fleet
from simulator.commands.rehearse import rehearse

app = typer.Typer(
    help="Fleet Rollout's local cloud: what stands in for Azure on one machine, part by part.",
    epilog=(
        "Exit codes: 0 done, or stopped by a signal; 1 failed: a part did not start or ended, the "
        "demo's rollout did not complete, or a manifest is refused; 2 wrong usage, a port is "
        "taken, or a file cannot be used; 130 the demo was interrupted."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class HubTier(StrEnum):
    """The tiers of IoT Hub that have twins and methods."""

    F1 = "F1"
    S1 = "S1"
    S2 = "S2"
    S3 = "S3"


@app.command()
def hub(
    *,
    address: Address = DEFAULTS.address,
    https_port: Annotated[
        int, typer.Option(envvar="FLEET_HUB_HTTPS_PORT", help="HTTPS; 0 is any free port.")
    ] = DEFAULTS.hub_https_port,
    mqtt_port: Annotated[
        int,
        typer.Option(envvar="FLEET_HUB_MQTT_PORT", help="MQTT over TLS; 0 is any free port."),
    ] = DEFAULTS.hub_mqtt_port,
    certificates: Annotated[
        Path, typer.Option(help="Folder of its certificates.", show_default=".local")
    ] = DEFAULTS.local_directory,
    key: Annotated[
        str | None,
        typer.Option(help="iothubowner's key, base64.", show_default="the development key"),
    ] = None,
    query_lag_seconds: Annotated[
        float, typer.Option(help="How far queries are behind twin writes, in seconds.", min=0)
    ] = 0,
    state: Annotated[
        Path | None,
        typer.Option(
            help="File that keeps devices, modules, twins and configurations from run to run.",
            show_default="kept in memory only",
        ),
    ] = None,
    tier: Annotated[
        HubTier | None,
        typer.Option(help="Hold to the quotas of this tier.", show_default="no quotas"),
    ] = None,
    units: Annotated[int, typer.Option(help="How many units of the tier.", min=1)] = 1,
    throttle_scale: Annotated[
        float, typer.Option(help="Compress the quotas' time: 10 is ten times the rate.", min=0.001)
    ] = 1,
    faults: Annotated[
        Path | None,
        typer.Option(
            help="JSON file of faults in force from the start, as for PUT /_local/faults.",
            show_default="none",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """The stand-in for Azure IoT Hub, until Ctrl-C."""
    from simulator.hub import HubOptions
    from simulator.hub.command import faults_in, run
    from simulator.hub.model.quotas import Tier
    from simulator.hub.options import DEVELOPMENT_KEY

    options = HubOptions(
        address=address,
        https_port=https_port,
        mqtt_port=mqtt_port,
        certificates=certificates,
        key=key or DEVELOPMENT_KEY,
        query_lag_seconds=query_lag_seconds,
        state_file=state,
        tier=None if tier is None else Tier(tier),
        units=units,
        throttle_scale=throttle_scale,
        faults=faults_in(faults),
    )
    raise typer.Exit(run(options))


@app.command()
def host(
    *,
    app_directory: Annotated[
        Path,
        typer.Option(
            help="The folder of function_app.py and host.json.",
            show_default="the repository",
            exists=True,
            file_okay=False,
        ),
    ] = DEFAULTS.app_directory,
    address: Address = DEFAULTS.address,
    port: Annotated[
        int, typer.Option(envvar="FLEET_HOST_PORT", help="HTTP; 0 is any free port.")
    ] = DEFAULTS.host_port,
    enforce_keys: Annotated[
        bool, typer.Option("--enforce-keys", help="Check function keys, as Azure does.")
    ] = False,
) -> None:
    """The Functions host, running the app through Microsoft's worker, until Ctrl-C."""
    from simulator.host.command import run
    from simulator.host.options import HostOptions

    options = HostOptions(
        app_directory=app_directory, address=address, port=port, enforce_keys=enforce_keys
    )
    raise typer.Exit(run(options))


app.command()(device)
app.command()(fleet)
app.command()(rehearse)
app.command()(keygen)
app.command()(sign)
app.command()(verify)
app.command()(up)
app.command()(demo)


if __name__ == "__main__":
    sys.exit(app())
