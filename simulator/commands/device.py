"""The command `device`."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from simulator.command_line import EXIT_WRONG_USAGE, Group
from simulator.paths import HUB_CA
from simulator.shared_options import HubAuthority, StageSeconds

if TYPE_CHECKING:
    from device_agent.credentials import Credentials
    from simulator.simulated_device.device import Device
    from simulator.simulated_device.installing import InstallingDevice

_INSTALLS = "A device that downloads and installs; these options need --directory"
_SIMULATES = "A device that only reports the stages of an update"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedUpdates:
    """Options of a device that installs nothing."""

    stage_seconds: StageSeconds = 15
    fail_at: Annotated[
        Literal["downloading", "applying"] | None,
        typer.Option(help="Make every update fail at the end of this stage."),
    ] = None
    error_code: Annotated[
        str, typer.Option(help="The errorCode that a failing update reports.")
    ] = "simulatedFailure"
    tutorial: Annotated[
        bool, typer.Option("--tutorial", help="Behave exactly as the tutorial's device.")
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Options of a device that downloads and installs."""

    directory: Annotated[
        Path | None,
        typer.Option(
            help="Its disk: slots, journal, downloads; kept from run to run.",
            show_default="none",
            file_okay=False,
        ),
    ] = None
    model: Annotated[str, typer.Option(help="The model that releases must be for.")] = (
        "thermostat-x1"
    )
    keys: Annotated[
        Path | None,
        typer.Option(
            help="JWK Set of the public keys whose signatures it trusts.",
            show_default="none: signatures are not checked",
            exists=True,
            dir_okay=False,
        ),
    ] = None
    signed_only: Annotated[
        bool, typer.Option("--signed-only", help="Refuse updates without a signed manifest.")
    ] = False
    https_only: Annotated[bool, typer.Option("--https-only", help="Never download over http.")] = (
        False
    )
    public_only: Annotated[
        bool, typer.Option("--public-only", help="Never download from a private network.")
    ] = False
    bytes_per_second: Annotated[
        int | None, typer.Option(help="Limit of a download.", show_default="none", min=1)
    ] = None
    progress_step: Annotated[
        int | None,
        typer.Option(
            help="Report the download's progress in steps of this many percent.",
            show_default="never",
            min=1,
            max=50,
        ),
    ] = None
    fault: Annotated[
        list[str],
        typer.Option(
            help="A fault of the device, may be repeated: slow=BYTES_PER_SECOND, cut=TIMES, "
            "corrupt, disk-full=BYTES, wrong-model, crash=PHASE, unhealthy, busy=SECONDS, "
            "low-battery=PERCENT.",
            show_default="none",
        ),
    ] = field(default_factory=list)
    fault_seed: Annotated[
        int | None,
        typer.Option(
            help="Choose a fault, or none, from this seed and the device's id.",
            show_default="none",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceArguments:
    """The command line of `device`."""

    connection_string: Annotated[
        str,
        typer.Option(
            envvar="IOTHUB_DEVICE_CONNECTION_STRING",
            help="HostName=<hub>;DeviceId=<id>;SharedAccessKey=<key>, or x509=true for the key",
        ),
    ]
    certificate: Annotated[
        Path | None,
        typer.Option(
            envvar="IOTHUB_DEVICE_X509_CERT",
            help="The device's certificate, PEM, with x509=true.",
            show_default="none",
        ),
    ] = None
    certificate_key: Annotated[
        Path | None,
        typer.Option(
            envvar="IOTHUB_DEVICE_X509_KEY",
            help="Its private key, PEM; a passphrase is read from IOTHUB_DEVICE_X509_PASSWORD.",
            show_default="none",
        ),
    ] = None
    version: Annotated[
        str | None,
        typer.Option(help="Firmware at the start.", show_default="what it has, else 1.0.0"),
    ] = None
    ca: HubAuthority = None
    verbose: Annotated[bool, typer.Option("--verbose", help="Log the SDK's own lines.")] = False
    simulated: Annotated[SimulatedUpdates, Group(panel=_SIMULATES)]
    installation: Annotated[Installation, Group(panel=_INSTALLS)]


def device(arguments: DeviceArguments, context: typer.Context) -> int:
    """Run a simulated device on Microsoft's device SDK until Ctrl-C; the hub is local or in Azure.

    Exit codes: 0 stopped by a signal; 2 wrong usage, or a file that cannot be used.
    """
    from simulator.simulated_device import command
    from simulator.simulated_device.log import log_to_stdout

    log_to_stdout(verbose=arguments.verbose)
    try:
        _check_kind(context, is_installing=arguments.installation.directory is not None)
        return command.run(_make_device(arguments))
    except (ValueError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        return EXIT_WRONG_USAGE


def _make_device(arguments: DeviceArguments) -> "Device | InstallingDevice":
    """Return the device that the arguments describe. Raises ValueError and OSError."""
    from device_agent.credentials import Credentials
    from simulator.simulated_device import command

    credentials = Credentials(
        connection_string=arguments.connection_string,
        certificate=command.read_certificate(arguments.certificate, arguments.certificate_key),
        ca=command.read_authority(arguments.connection_string, arguments.ca, HUB_CA),
    )
    if arguments.installation.directory is None:
        return _make_simulated_device(credentials, arguments.simulated, arguments.version)
    return _make_installing_device(
        credentials, arguments.installation, arguments.installation.directory, arguments.version
    )


def _make_simulated_device(
    credentials: "Credentials", arguments: SimulatedUpdates, version: str | None
) -> "Device":
    from simulator.simulated_device import command

    return command.make_simulated_device(
        credentials,
        stage_delay=timedelta(seconds=arguments.stage_seconds),
        failure=(arguments.fail_at, arguments.error_code) if arguments.fail_at else None,
        tutorial=arguments.tutorial,
        version=version,
    )


def _make_installing_device(
    credentials: "Credentials", arguments: Installation, directory: Path, version: str | None
) -> "InstallingDevice":
    from simulator.simulated_device import command

    return command.make_installing_device(
        credentials,
        directory,
        policy=command.make_policy(
            arguments.model, arguments.keys, signed_only=arguments.signed_only
        ),
        faults=command.choose_faults(credentials, arguments.fault, arguments.fault_seed),
        rules=command.make_rules(
            https_only=arguments.https_only, public_only=arguments.public_only
        ),
        bytes_per_second=arguments.bytes_per_second,
        progress_step_percent=arguments.progress_step,
        version=version,
    )


def _check_kind(context: typer.Context, *, is_installing: bool) -> None:
    """Raise ValueError for an option that the other kind of device has."""
    other = _SIMULATES if is_installing else _INSTALLS
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        is_given = source is not None and source.name == "COMMANDLINE"
        if is_given and getattr(parameter, "rich_help_panel", None) == other:
            needs = "cannot be combined with" if is_installing else "needs"
            raise ValueError(f"{parameter.opts[0]} {needs} --directory")
