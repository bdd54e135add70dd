"""The command `sign`."""

import typer

from simulator.command_line import wrong_usage
from simulator.commands.signing_options import SignOptions


def sign(options: SignOptions) -> int:
    """Sign the manifest of a firmware package, for `firmware.manifest` of a rollout.

    Exit codes: 0 done; 2 wrong usage, or a file that cannot be used.
    """
    from signed_firmware.errors import ManifestError
    from simulator.commands import signing

    try:
        envelope = signing.sign(options.package, options.key, options.release)
        if options.out is not None:
            options.out.write_text(f"{envelope}\n")
    except (OSError, ValueError, ManifestError) as error:
        raise wrong_usage(error) from None
    if options.out is None:
        typer.echo(envelope)
    return 0
