"""The command `fleet` on the command line; what it needs is imported inside it."""
# ruff: noqa: PLC0415

from pathlib import Path
from typing import Annotated

import typer

from simulator.commands.cloud import DEFAULTS, HubMqttPort, StageSeconds

_WRONG_USAGE = 2
_SHARE = "Share of the devices that "


def fleet(
    *,
    devices: Annotated[int, typer.Option(help="How many.", min=1)] = 100,
    prefix: Annotated[
        str, typer.Option(help="What device ids begin with; 1 and on follow.")
    ] = "light-",
    fail: Annotated[str, typer.Option(help=f"{_SHARE}fail at the end of applying.")] = "0%",
    hang: Annotated[str, typer.Option(help=f"{_SHARE}stop for good at downloading.")] = "0%",
    offline: Annotated[str, typer.Option(help=f"{_SHARE}connect, go away, come back.")] = "0%",
    revert: Annotated[
        str, typer.Option(help=f"{_SHARE}complete, and a stage later run the old version again.")
    ] = "0%",
    offline_seconds: Annotated[
        float, typer.Option(help="How long those are away, and then there again.", min=0.1)
    ] = 60,
    seed: Annotated[int, typer.Option(help="Chooses which devices these are.")] = 1,
    stage_seconds: StageSeconds = 15,
    connection_string: Annotated[
        str,
        typer.Option(
            envvar="IOTHUB_CONNECTION_STRING",
            help="The service's, with a policy that may register devices.",
            show_default="the local hub's",
        ),
    ] = DEFAULTS.service_connection_string,
    mqtt_port: HubMqttPort = DEFAULTS.hub_mqtt_port,
    ca: Annotated[
        Path | None,
        typer.Option(
            help="The authority's certificate, PEM.",
            show_default="the local hub's if HostName is this machine, else the system's",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Many light simulated devices in one process, until Ctrl-C; hub local or in Azure.

    Registers them, with new keys. Exit codes: 0 stopped by a signal; 1 the hub cannot be reached
    or does not take the devices; 2 wrong usage.
    """
    from simulator.simulated_fleet.command import FleetOptions, authority, run
    from simulator.simulated_fleet.shares import Shares, share

    try:
        options = FleetOptions(
            connection_string=connection_string,
            mqtt_port=mqtt_port,
            devices=devices,
            prefix=prefix,
            seed=seed,
            shares=Shares(
                fail=share(fail), hang=share(hang), offline=share(offline), revert=share(revert)
            ),
            stage_seconds=stage_seconds,
            offline_seconds=offline_seconds,
            ca=authority(connection_string, ca, DEFAULTS.ca),
        )
    except ValueError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(_WRONG_USAGE) from error
    raise typer.Exit(run(options))
