"""The command `verify`."""

import typer

from simulator.command_line import wrong_usage
from simulator.commands.signing_options import VerifyOptions

_REFUSED = 1


def verify(options: VerifyOptions) -> int:
    """Check a signed manifest as a device does, and print its content as JSON.

    Only what is given is checked. Exit codes: 0 a device accepts it; 1 refused; 2 wrong usage, or
    a file that cannot be used.
    """
    from signed_firmware.errors import ManifestError
    from simulator.commands import signing

    try:
        found = signing.verify(options.manifest, options.keys, options.expected)
    except ManifestError as error:
        typer.echo(f"refused: {error.code}: {error}", err=True)
        return _REFUSED
    except (OSError, ValueError) as error:
        raise wrong_usage(error) from None
    typer.echo(found.to_json())
    return 0
