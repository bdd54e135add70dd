"""The command line: all commands by name."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from fleet.command_line import command
from fleet.commands import (
    changing,
    creating,
    firmware,
    following,
    freezing,
    pipeline,
    profiles,
    reading,
    steps,
    webhooks,
)
from fleet.exit_codes import ExitCode

EXIT_CODES = (
    "Exit codes: 0 done; 1 the rollout failed or was cancelled; 2 refused, or wrong usage; 3 not"
    " ended in time; 4 sign-in; 5 paused, or waiting for approval; 6 the plan has changed; 7 the"
    " service is unreachable."
)
COMMANDS: Mapping[str, Callable[..., ExitCode]] = {
    "plan": creating.plan,
    "create": creating.create,
    "list": reading.list_rollouts,
    "show": reading.show,
    "watch": following.watch,
    "wait": following.wait,
    "devices": reading.devices,
    "why": reading.why,
    "events": reading.events,
    "pause": steps.pause,
    "resume": steps.resume,
    "cancel": steps.cancel,
    "approve": steps.approve,
    "change": changing.change,
    "retry": steps.retry,
    "rollback": steps.rollback,
    "device": reading.device,
    "release": freezing.release,
    "freeze": freezing.freeze,
    "unfreeze": freezing.unfreeze,
    "frozen": freezing.frozen,
    "firmware": firmware.firmware,
    "webhooks": webhooks.webhooks,
    "export": reading.export,
    "open": reading.open_page,
    "pipeline": pipeline.pipeline,
    "profile": profiles.profile,
}


_METAVARS: Mapping[Any, str] = {int: "NUMBER", Path: "PATH"}


class Commands(TyperGroup):
    """The group of all commands, which starts without pydantic.

    Typer imports it to convert a value that is no bool. The options of shell completion, which
    Typer adds, are flags whose default is None.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters; a flag that is not set is False."""
        params = super().get_params(ctx)
        for param in params:
            if param.default is None:
                param.default = False
        return params


class Command(TyperCommand):
    """A command whose help names values as other programs do: TEXT, PATH, ROLLOUT."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters; typer would show `<list[str]>` for a repeated text."""
        params = super().get_params(ctx)
        for param in params:
            if isinstance(param, TyperArgument):
                param.display_type_rich = _no_type  # type: ignore[method-assign]
            elif isinstance(param, TyperOption) and not param.is_flag:
                param.metavar = _METAVARS.get(param.type_descriptor.annotation, "TEXT")
        return params


def _no_type(ctx: Any) -> None:
    """Return no type: an argument's own name says what it is."""


app = typer.Typer(
    name="fleet",
    cls=Commands,
    help="Roll out firmware with Fleet Rollout.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _name, _function in COMMANDS.items():
    app.command(_name, cls=Command)(command(_function))
