"""The command `keygen`."""

import typer

from simulator.command_line import wrong_usage
from simulator.commands.signing_options import KeygenOptions


def keygen(options: KeygenOptions) -> int:
    """Generate an Ed25519 key that signs firmware and print its kid.

    The .pem is the private key and stays with the publisher; the .jwks.json is what devices trust.
    Exit codes: 0 done; 2 a file exists already or cannot be written.
    """
    from simulator.commands import signing

    try:
        kid = signing.keygen(options.name)
    except OSError as error:
        raise wrong_usage(error) from None
    typer.echo(kid)
    return 0
