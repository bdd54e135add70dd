"""The command `rehearse`."""

import typer

from simulator.command_line import wrong_usage
from simulator.rehearsal.options import RehearsalOptions

_ENDED_OTHERWISE = 1


def rehearse(options: RehearsalOptions) -> int:
    """Rehearse a rollout on virtual devices and a virtual clock, in seconds.

    The rules are the service's own; devices, hub and time are virtual. The rehearsal stops where
    an operator has to decide, 400 days after its start at the latest. Exit codes: 0 done; 1 the
    rollout ended otherwise than expected; 2 wrong usage, or a rollout that would be refused.
    """
    from functions.errors import RequestError
    from simulator.rehearsal import command

    try:
        rehearsal = command.read_rehearsal(options)
    except (RequestError, ValueError) as error:
        raise _wrong_usage(error) from None
    try:
        status = command.run(rehearsal, options.chart, as_json=options.as_json)
    except (RequestError, command.ChartError) as error:
        raise _wrong_usage(error) from None
    return _ENDED_OTHERWISE if options.expect not in (None, status) else 0


def _wrong_usage(error: Exception) -> typer.Exit:
    """Print what is wrong, with the fields of the rollout, and return the exit for it."""
    from functions.errors import InvalidError

    ending = wrong_usage(error)
    for field in error.fields if isinstance(error, InvalidError) else ():
        typer.echo(f"  {field.pointer}: {field.detail}", err=True)
    return ending
