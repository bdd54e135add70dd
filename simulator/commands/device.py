"""The command `device` on the command line; what it needs is imported inside it."""
# ruff: noqa: PLC0415

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from simulator.places import HUB_CA

_WRONG_USAGE = 2
_INSTALLING = "A device that really downloads and installs: give it a --directory"
_PRETENDING = "A device that only lets an update take its time"


class FailAt(StrEnum):
    """The stages that can be made to fail."""

    DOWNLOADING = "downloading"
    APPLYING = "applying"


def device(
    context: typer.Context,
    *,
    connection_string: Annotated[
        str,
        typer.Option(
            envvar="IOTHUB_DEVICE_CONNECTION_STRING",
            help="HostName=<hub>;DeviceId=<id>;SharedAccessKey=<key>, or x509=true for the key",
        ),
    ],
    certificate: Annotated[
        Path | None,
        typer.Option(
            envvar="IOTHUB_DEVICE_X509_CERT",
            help="The device's certificate, PEM, with x509=true.",
            show_default="none",
        ),
    ] = None,
    certificate_key: Annotated[
        Path | None,
        typer.Option(
            envvar="IOTHUB_DEVICE_X509_KEY",
            help="Its private key, PEM; a passphrase is taken from IOTHUB_DEVICE_X509_PASSWORD.",
            show_default="none",
        ),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(help="Firmware at the start.", show_default="what it has, else 1.0.0"),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(
            help="The hub's authority, PEM.",
            show_default="the local hub's if HostName is this machine, else the system's",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log the SDK's own lines.")] = False,
    stage_seconds: Annotated[
        float, typer.Option(help="Length of each stage.", min=0, rich_help_panel=_PRETENDING)
    ] = 15,
    fail_at: Annotated[
        FailAt | None,
        typer.Option(
            help="Let every update fail at the end of this stage.", rich_help_panel=_PRETENDING
        ),
    ] = None,
    error_code: Annotated[
        str,
        typer.Option(
            help="The errorCode that a failing update reports.", rich_help_panel=_PRETENDING
        ),
    ] = "simulatedFailure",
    tutorial: Annotated[
        bool,
        typer.Option(
            "--tutorial",
            help="Know only what the tutorial's device knows.",
            rich_help_panel=_PRETENDING,
        ),
    ] = False,
    directory: Annotated[
        Path | None,
        typer.Option(
            help="Its disk: slots, journal, downloads; kept from run to run.",
            show_default="none",
            file_okay=False,
            rich_help_panel=_INSTALLING,
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Which releases are for it.", rich_help_panel=_INSTALLING)
    ] = "thermostat-x1",
    keys: Annotated[
        Path | None,
        typer.Option(
            help="JWK Set of the public keys whose signatures it trusts.",
            show_default="none: signatures are not checked",
            exists=True,
            dir_okay=False,
            rich_help_panel=_INSTALLING,
        ),
    ] = None,
    signed_only: Annotated[
        bool,
        typer.Option(
            "--signed-only",
            help="Refuse updates without a signed manifest.",
            rich_help_panel=_INSTALLING,
        ),
    ] = False,
    https_only: Annotated[
        bool,
        typer.Option("--https-only", help="Never download over http.", rich_help_panel=_INSTALLING),
    ] = False,
    public_only: Annotated[
        bool,
        typer.Option(
            "--public-only",
            help="Never download from a private network.",
            rich_help_panel=_INSTALLING,
        ),
    ] = False,
    bytes_per_second: Annotated[
        int | None,
        typer.Option(
            help="Limit of a download.", show_default="none", min=1, rich_help_panel=_INSTALLING
        ),
    ] = None,
    progress_step: Annotated[
        int | None,
        typer.Option(
            help="Report the download's progress in steps of so many percent.",
            show_default="never",
            min=1,
            max=50,
            rich_help_panel=_INSTALLING,
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="What goes wrong, as often as wanted: slow=BYTES_PER_SECOND, cut=TIMES, corrupt, "
            "disk-full=BYTES, wrong-model, crash=PHASE, unhealthy, busy=SECONDS, "
            "low-battery=PERCENT.",
            show_default="nothing",
            rich_help_panel=_INSTALLING,
        ),
    ] = None,
    fault_seed: Annotated[
        int | None,
        typer.Option(
            help="Draw a fault, or none, from a seed and the device's id.",
            show_default="none",
            rich_help_panel=_INSTALLING,
        ),
    ] = None,
) -> None:
    """A simulated device on the real device SDK, until Ctrl-C; hub local or in Azure."""
    from device_agent.credentials import Credentials
    from simulator.simulated_device import command
    from simulator.simulated_device.device_thread import RunnableDevice
    from simulator.simulated_device.log import log_to_stdout

    log_to_stdout(verbose=verbose)
    try:
        _check_kind(context, is_installing=directory is not None)
        who = Credentials(
            connection_string=connection_string,
            certificate=command.read_certificate(certificate, certificate_key),
            ca=command.read_authority(connection_string, ca, HUB_CA),
        )
        made: RunnableDevice
        if directory is None:
            made = command.make_simulated_device(
                who,
                stage_delay=timedelta(seconds=stage_seconds),
                failure=(fail_at, error_code) if fail_at else None,
                tutorial=tutorial,
                version=version,
            )
        else:
            made = command.make_installing_device(
                who,
                directory,
                policy=command.make_policy(model, keys, signed_only=signed_only),
                faults=command.choose_faults(who, fault or [], fault_seed),
                rules=command.make_rules(https_only=https_only, public_only=public_only),
                bytes_per_second=bytes_per_second,
                progress_step_percent=progress_step,
                version=version,
            )
        exit_code = command.run(made)
    except (ValueError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        exit_code = _WRONG_USAGE
    raise typer.Exit(exit_code)


def _check_kind(context: typer.Context, *, is_installing: bool) -> None:
    """Raises ValueError for an option that is for the other kind of device."""
    other = _PRETENDING if is_installing else _INSTALLING
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        is_given = source is not None and source.name == "COMMANDLINE"
        if is_given and getattr(parameter, "rich_help_panel", None) == other:
            needs = "goes without" if is_installing else "needs"
            raise ValueError(f"{parameter.opts[0]} {needs} --directory")
