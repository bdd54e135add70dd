"""Options of the commands that sign firmware and verify it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from simulator.command_line import option_parser


def _parse_expiry(text: str) -> datetime:
    from simulator.commands.signing import parse_expiry

    return parse_expiry(text, datetime.now(UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeygenOptions:
    """The command line of `keygen`."""

    name: Annotated[
        Path,
        typer.Argument(help="Writes <name>.pem and <name>.jwks.json; never over existing files."),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What a publisher states about a package beyond its bytes."""

    version: Annotated[str, typer.Option(help="The version of the package.")]
    models: Annotated[
        list[str], typer.Option("--model", help="A model that it is for; may be repeated.")
    ]
    sequence: Annotated[
        int, typer.Option(help="Number of the release, higher than that of the last.", min=1)
    ]
    expires_at: Annotated[
        datetime,
        typer.Option(
            "--expires",
            help="When devices stop accepting it: P90D, or 2027-01-01T00:00:00Z.",
            parser=option_parser(_parse_expiry),
            metavar="<time>",
        ),
    ]
    minimum_version: Annotated[
        str | None,
        typer.Option(
            help="The version that devices must run at least, SemVer.", show_default="any version"
        ),
    ] = None
    allow_downgrade: Annotated[
        bool,
        typer.Option("--allow-downgrade", help="Also for devices that accepted a later release."),
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOptions:
    """The command line of `sign`."""

    package: Annotated[Path, typer.Argument(help="The firmware.", exists=True, dir_okay=False)]
    key: Annotated[
        Path, typer.Option(help="The private key, from keygen.", exists=True, dir_okay=False)
    ]
    release: Release
    out: Annotated[
        Path | None, typer.Option(help="Write the manifest here.", show_default="standard output")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a manifest is checked against besides its signature; None is not checked."""

    package: Annotated[
        Path | None,
        typer.Option(help="The firmware that it must be for.", exists=True, dir_okay=False),
    ] = None
    model: Annotated[str | None, typer.Option(help="The model that it must be for.")] = None
    running_version: Annotated[
        str | None, typer.Option(help="What the device runs, for the minimum version.")
    ] = None
    highest_sequence: Annotated[
        int | None,
        typer.Option(help="The highest sequence that the device accepted, for downgrades.", min=0),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions:
    """The command line of `verify`."""

    manifest: Annotated[
        Path, typer.Argument(help="The signed manifest, or - for standard input.", dir_okay=False)
    ]
    keys: Annotated[
        Path, typer.Option(help="The keys that devices trust.", exists=True, dir_okay=False)
    ]
    expected: Expected
