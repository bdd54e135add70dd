"""Command-line options as fields of a dataclass, each declared once.

A command is a function that takes a dataclass, its options, and returns an exit code. A field
annotated with `typer.Option` or `typer.Argument` is a parameter of the command, with the field's
default. A field whose type is a dataclass is a group: its parameters are the command's too. Other
fields keep their defaults.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.models import ParameterInfo

EXIT_WRONG_USAGE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Annotates a field that holds a group of options."""

    panel: str | None = None
    """The heading of the group in `--help`; None for the common one."""
    fixed: Mapping[str, object] = field(default_factory=dict)
    """Values of fields that the command sets itself; they are no options of it."""


def command(function: Callable[..., int]) -> Callable[..., None]:
    """Return a function for `typer.Typer.command`, with one parameter for each option.

    It reads the options, calls `function` with them, and with the context if `function` takes a
    `typer.Context` too, and exits with the code that `function` returns. A ValueError from the
    dataclass is wrong usage.
    """
    options, *context = inspect.signature(function, eval_str=True).parameters.values()
    kind = options.annotation

    def run(**values: Any) -> None:
        try:
            made = _make(kind, values, {})
        except ValueError as error:
            raise wrong_usage(error) from None
        raise typer.Exit(function(made, *(values[parameter.name] for parameter in context)))

    run.__name__, run.__doc__ = function.__name__, function.__doc__
    # Typer reads parameters from the signature.
    parameters = [
        *(parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in context),
        *_parameters(kind),
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def option_parser[Value](parse: Callable[[str], Value]) -> Callable[[str | Value], Value]:
    """Return a parser for `typer.Option(parser=...)`: a ValueError of `parse` is wrong usage.

    Typer hands it defaults as well, which are values already.
    """

    def read(text: str | Value) -> Value:
        if not isinstance(text, str):
            return text
        try:
            return parse(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return read


def wrong_usage(error: Exception) -> typer.Exit:
    """Print what is wrong and return the exit for it."""
    typer.echo(f"error: {error}", err=True)
    return typer.Exit(EXIT_WRONG_USAGE)


def _parameters(kind: type[Any], group: Group | None = None) -> Iterator[inspect.Parameter]:
    """Yield the command's parameter for each option of `kind` and of its groups."""
    group = group or Group()
    for attribute, annotation in _attributes(kind):
        if attribute.name in group.fixed:
            continue
        inner = _group(annotation)
        if inner is not None:
            yield from _parameters(*inner)
        elif any(isinstance(item, ParameterInfo) for item in get_args(annotation)):
            yield _parameter(attribute, annotation, group.panel)


def _parameter(attribute: "Field[Any]", annotation: Any, panel: str | None) -> inspect.Parameter:
    kind, *metadata = get_args(annotation)
    info = copy(next(item for item in metadata if isinstance(item, ParameterInfo)))
    info.rich_help_panel = info.rich_help_panel or panel
    default = (
        attribute.default if attribute.default_factory is MISSING else attribute.default_factory()
    )
    return inspect.Parameter(
        attribute.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is MISSING else default,
        annotation=Annotated[kind, info],
    )


def _make(kind: type[Any], values: Mapping[str, Any], fixed: Mapping[str, object]) -> Any:
    """Return a `kind` with the values of its options, and of its groups' options."""
    arguments: dict[str, Any] = {}
    for attribute, annotation in _attributes(kind):
        inner = _group(annotation)
        if attribute.name in fixed:
            arguments[attribute.name] = fixed[attribute.name]
        elif inner is not None:
            arguments[attribute.name] = _make(inner[0], values, inner[1].fixed)
        elif attribute.name in values:
            arguments[attribute.name] = values[attribute.name]
    return kind(**arguments)


def _attributes(kind: type[Any]) -> Iterator[tuple["Field[Any]", Any]]:
    hints = get_type_hints(kind, include_extras=True)
    for attribute in fields(kind):
        yield attribute, hints[attribute.name]


def _group(annotation: Any) -> tuple[type[Any], Group] | None:
    """Return the dataclass and the settings of a group of options, or None for another field."""
    is_annotated = get_origin(annotation) is Annotated
    kind, *metadata = get_args(annotation) if is_annotated else (annotation,)
    if not is_dataclass(kind) or any(isinstance(item, ParameterInfo) for item in metadata):
        return None
    found = next((item for item in metadata if isinstance(item, Group)), Group())
    return kind, found  # type: ignore[return-value]  # a class: hints hold no instances
