"""Give each command the common options, and turn errors into exit codes.

A command is a function whose first parameter is the session and whose others are its options. A
parameter that is a dataclass is a group: each of its fields is an option of the command.
"""

import inspect
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Annotated, Any, get_type_hints

import typer
from typer.models import ArgumentInfo

from fleet.durations import seconds_of
from fleet.exit_codes import CommandError, ExitCode, UsageError
from fleet.plain_text import one_line
from fleet.session import Session

# An empty text takes the notes away.
_MAY_BE_EMPTY = {"notes"}


@dataclass(frozen=True)
class CommonOptions:
    """What every command takes."""

    api: Annotated[
        str | None, typer.Option(envvar="FLEET_API", help="URL of the API, ending with /api")
    ] = None
    key: Annotated[
        str | None,
        typer.Option(envvar="FLEET_KEY", help="function key; the variable keeps it out of lists"),
    ] = field(default=None, repr=False)
    scope: Annotated[
        str | None,
        typer.Option(envvar="FLEET_SCOPE", help="sign in with Entra ID: api://<app id>/.default"),
    ] = None
    profile: Annotated[
        str | None, typer.Option(envvar="FLEET_PROFILE", help="a connection kept by fleet profile")
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="print a JSON object a line")] = False
    patience: Annotated[
        str | None,
        typer.Option(help="how long lost connections are repeated: 20s; wait and watch 10m"),
    ] = None

    def __post_init__(self) -> None:
        if self.as_json and self.as_jsonl:
            raise UsageError("Set --json or --jsonl, not both.")


def command(function: Callable[..., ExitCode]) -> Callable[..., None]:
    """Return a function for `typer.Typer.command` that runs `function` in a session."""
    _, *own = inspect.signature(function, eval_str=True).parameters.values()
    groups = {item.name: item.annotation for item in own if is_dataclass(item.annotation)}
    options = [
        *(item.replace(kind=item.KEYWORD_ONLY) for item in own if item.name not in groups),
        *(option for group in groups.values() for option in _options(group)),
        *_options(CommonOptions),
    ]

    def run(**values: Any) -> None:
        def call() -> ExitCode:
            _check_texts(options, values)
            common = _make(CommonOptions, values)
            made = {name: _make(group, values) for name, group in groups.items()}
            given = {item.name: values[item.name] for item in own if item.name not in groups}
            patience = seconds_of(common.patience) if common.patience else None
            return function(Session(common, patience), **given, **made)

        raise typer.Exit(run_safely(call, values.get("key")))

    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    return run


def run_safely(call: Callable[[], ExitCode], key: str | None = None) -> ExitCode:
    """Call a command; print what it raises, without the key, and return the exit code for it."""
    _prepare_output()
    try:
        code = call()
        sys.stdout.flush()
    except CommandError as error:
        _print_error(str(error), key)
        return error.code
    except KeyboardInterrupt:
        _print_error("interrupted; the rollout goes on without this command", key)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # the reader, such as head, has enough
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - for the flush at the exit
        return ExitCode.DONE
    except OSError as error:  # files that are read or written have sentences of their own
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - for the flush at the exit
        _print_error(f"standard output cannot be written: {error.strerror}", key)
        return ExitCode.REFUSED
    return code


def _prepare_output() -> None:
    """Make standard output take every text: it may be closed, or know no UTF-8."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    elif isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _check_texts(options: Iterable[inspect.Parameter], values: Mapping[str, Any]) -> None:
    """Raise UsageError for a text that is empty, such as an unset variable, or is not UTF-8."""
    for option in options:
        found = values[option.name]
        for text in found if isinstance(found, list) else [found]:
            if not isinstance(text, str):
                continue
            if not text and option.name not in _MAY_BE_EMPTY:
                raise UsageError(f"{_shown(option)} is empty.")
            if not text.isascii() and text.encode(errors="replace").decode() != text:
                raise UsageError(f"{_shown(option)} has bytes that are not UTF-8.")


def _shown(option: inspect.Parameter) -> str:
    """Return the name of an option or argument as the usage has it."""
    given = getattr(option.annotation, "__metadata__", ())
    if any(isinstance(item, ArgumentInfo) for item in given):
        return option.name.upper()
    return f"--{option.name.replace('_', '-')}"


def _print_error(text: str, key: str | None) -> None:
    shown = text.replace(key, "***") if key else text
    lines = [line[:2] + one_line(line[2:]) for line in f"fleet: {shown}".splitlines()]
    typer.echo("\n".join(lines), err=True)


def _options(group: Any) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    for item in fields(group):
        made = None if item.default_factory is MISSING else item.default_factory()
        default = made if item.default is MISSING else item.default
        yield inspect.Parameter(
            item.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=hints[item.name],
        )


def _make(group: Any, values: dict[str, Any]) -> Any:
    return group(**{item.name: values[item.name] for item in fields(group)})
