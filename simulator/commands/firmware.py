"""The commands `keygen`, `sign` and `verify`; what they need is imported inside them."""
# ruff: noqa: PLC0415

from pathlib import Path
from typing import Annotated

import typer

_REFUSED = 1
_WRONG_USAGE = 2


def keygen(
    name: Annotated[
        Path, typer.Argument(help="Writes <name>.pem and <name>.jwks.json; never over others.")
    ],
) -> None:
    """A new Ed25519 key that signs firmware; prints its kid.

    The .pem is the private key and stays with the publisher; the .jwks.json is what devices trust.
    Exit codes: 0 done; 2 a file is there already or cannot be written.
    """
    from simulator.commands import signing

    try:
        kid = signing.keygen(name)
    except OSError as error:
        raise _wrong_usage(error) from None
    typer.echo(kid)


def sign(
    package: Annotated[Path, typer.Argument(help="The firmware.", exists=True, dir_okay=False)],
    *,
    key: Annotated[
        Path, typer.Option(help="The private key, from keygen.", exists=True, dir_okay=False)
    ],
    version: Annotated[str, typer.Option(help="The version that the package brings.")],
    model: Annotated[list[str], typer.Option(help="A model it is for; may be repeated.")],
    sequence: Annotated[
        int, typer.Option(help="The release's number, higher than that of the last.", min=1)
    ],
    expires: Annotated[
        str, typer.Option(help="When devices stop taking it: P90D, or 2027-01-01T00:00:00Z.")
    ],
    minimum_version: Annotated[
        str | None,
        typer.Option(help="What devices must run already, SemVer.", show_default="any version"),
    ] = None,
    allow_downgrade: Annotated[
        bool,
        typer.Option("--allow-downgrade", help="Let devices take it that took a later release."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write the manifest here.", show_default="standard output")
    ] = None,
) -> None:
    """The signed manifest of a firmware package, for `firmware.manifest` of a rollout.

    Exit codes: 0 done; 2 wrong usage, or a file that cannot be used.
    """
    from datetime import UTC, datetime

    from signed_firmware.errors import ManifestError
    from simulator.commands import signing

    try:
        release = signing.Release(
            version=version,
            models=tuple(model),
            sequence=sequence,
            expires_at=signing.expiry(expires, datetime.now(UTC)),
            minimum_version=minimum_version,
            allow_downgrade=allow_downgrade,
        )
        envelope = signing.sign(package, key, release)
        if out is not None:
            out.write_text(f"{envelope}\n")
    except (OSError, ValueError, ManifestError) as error:
        raise _wrong_usage(error) from None
    if out is None:
        typer.echo(envelope)


def verify(
    manifest: Annotated[
        Path, typer.Argument(help="The signed manifest, or - for standard input.", dir_okay=False)
    ],
    *,
    keys: Annotated[
        Path, typer.Option(help="The keys that devices trust.", exists=True, dir_okay=False)
    ],
    package: Annotated[
        Path | None,
        typer.Option(help="The firmware that it must be of.", exists=True, dir_okay=False),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model that it must be for.")] = None,
    running_version: Annotated[
        str | None, typer.Option(help="What the device runs, for the minimum version.")
    ] = None,
    highest_sequence: Annotated[
        int | None,
        typer.Option(help="The highest sequence that the device took, for downgrades.", min=0),
    ] = None,
) -> None:
    """Check a signed manifest as a device does, and print what it says as JSON.

    What is not given is not checked. Exit codes: 0 a device takes it; 1 refused; 2 wrong usage, or
    a file that cannot be used.
    """
    from signed_firmware.errors import ManifestError
    from simulator.commands import signing

    expected = signing.Expected(
        package=package,
        model=model,
        running_version=running_version,
        highest_sequence=highest_sequence,
    )
    try:
        found = signing.verify(manifest, keys, expected)
    except ManifestError as error:
        typer.echo(f"refused: {error.code}: {error}", err=True)
        raise typer.Exit(_REFUSED) from None
    except (OSError, ValueError) as error:
        raise _wrong_usage(error) from None
    typer.echo(found.to_json())


def _wrong_usage(error: Exception) -> typer.Exit:
    typer.echo(f"error: {error}", err=True)
    return typer.Exit(_WRONG_USAGE)
