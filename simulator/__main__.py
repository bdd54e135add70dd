"""The local cloud's command line: `python -m simulator --help`."""

import sys

import typer

from simulator.command_line import command
from simulator.commands.demo import demo
from simulator.commands.device import device
from simulator.commands.fleet import fleet
from simulator.commands.host import host
from simulator.commands.hub import hub
from simulator.commands.keygen import keygen
from simulator.commands.rehearse import rehearse
from simulator.commands.sign import sign
from simulator.commands.up import up
from simulator.commands.verify import verify

app = typer.Typer(
    help="Fleet Rollout's local cloud: stand-ins for Azure on one machine, and tools for firmware.",
    epilog=(
        "Exit codes: 0 done, or stopped by a signal; 1 failed: a process did not start or ended, "
        "the demo's rollout did not complete, or a manifest is refused; 2 wrong usage, a port is "
        "taken, or a file cannot be used; 130 the demo was interrupted."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command()(command(hub))
app.command()(command(host))
app.command()(command(device))
app.command()(command(fleet))
app.command()(command(rehearse))
app.command()(command(keygen))
app.command()(command(sign))
app.command()(command(verify))
app.command()(command(up))
app.command()(command(demo))


if __name__ == "__main__":
    sys.exit(app())
