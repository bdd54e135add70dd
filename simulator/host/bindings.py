"""What a function declares, parsed once from the raw bindings into typed records.

Emulated: HTTP, timer and queue triggers, the HTTP answer as `$return`, queue outputs. Anything
else is refused at start, and so are `{...}` expressions in queue names.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from simulator.host import naming
from simulator.host.errors import AppLoadError
from simulator.host.routes import Template, compile_template
from simulator.host.schedule import Schedule, parse_schedule
from simulator.host.settings import is_true, resolve_references

type AuthLevel = Literal["anonymous", "function", "admin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTrigger:
    """`route` is without the app's prefix, `template` with it; `methods` None means every verb."""

    parameter: str
    route: str
    template: Template
    methods: frozenset[str] | None
    auth_level: AuthLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerTrigger:
    """A schedule with the text that it was parsed from."""

    parameter: str
    text: str
    schedule: Schedule
    run_on_startup: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueTrigger:
    """`connection` is as declared; `binary` asks for bytes instead of text."""

    parameter: str
    queue: str
    connection: str
    binary: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOutput:
    """An output argument, or `$return`, that becomes queue messages."""

    parameter: str
    queue: str
    connection: str


type Trigger = HttpTrigger | TimerTrigger | QueueTrigger


@dataclass(frozen=True, slots=True, kw_only=True)
class AppFunction:
    """One function of the app; `id` is what the runtime library knows it by."""

    name: str
    id: str
    trigger: Trigger
    outputs: tuple[QueueOutput, ...]
    disabled: bool


def parse_functions(
    declared: Sequence[tuple[str, str, Sequence[str]]],
    *,
    settings: Mapping[str, str],
    route_prefix: str,
) -> tuple[AppFunction, ...]:
    """Parse all functions of an app; items: name, id, raw bindings as JSON texts.

    Raises AppLoadError for what Azure would refuse or this host does not emulate, and
    SettingsError for an undefined `%SETTING%`.
    """
    naming.check_function_names([name for name, _, _ in declared])
    functions = tuple(
        _parse(name, function_id, [json.loads(text) for text in raw], settings, route_prefix)
        for name, function_id, raw in declared
    )
    naming.check_route_conflicts(
        [
            (function.name, function.trigger.route, function.trigger.methods)
            for function in functions
            if isinstance(function.trigger, HttpTrigger)
        ]
    )
    return functions


def _parse(
    name: str,
    function_id: str,
    bindings: Sequence[dict[str, Any]],
    settings: Mapping[str, str],
    route_prefix: str,
) -> AppFunction:
    naming.check_binding_names(name, [binding["name"] for binding in bindings])
    triggers: list[Trigger] = []
    outputs: list[QueueOutput] = []
    for binding in bindings:
        match binding["type"].lower():
            case "httptrigger":
                triggers.append(_http_trigger(name, binding, route_prefix))
            case "timertrigger":
                triggers.append(_timer_trigger(name, binding, settings))
            case "queuetrigger":
                triggers.append(_queue_trigger(name, binding, settings))
            case "queue" if binding["direction"].lower() == "out":
                outputs.append(_queue_output(name, binding, settings))
            case "http" if binding["name"] == "$return":
                pass
            case other:
                raise AppLoadError(f"function {name}: the binding {other} is not emulated")
    if len(triggers) != 1:
        raise AppLoadError(f"function {name}: one trigger is needed, {len(triggers)} are declared")
    return AppFunction(
        name=name,
        id=function_id,
        trigger=triggers[0],
        outputs=tuple(outputs),
        disabled=is_true(settings.get(f"AzureWebJobs.{name}.Disabled")),
    )


def _http_trigger(function: str, binding: dict[str, Any], prefix: str) -> HttpTrigger:
    route = binding.get("route") or function
    naming.check_route(function, route)
    level = str(binding.get("authLevel", "function")).lower()
    if level not in {"anonymous", "function", "admin"}:
        raise AppLoadError(f"function {function}: the authorization level {level} is not known")
    methods = frozenset(str(method).upper() for method in binding.get("methods") or ())
    try:
        template = compile_template(f"{prefix.strip('/')}/{route.strip('/')}")
    except ValueError as error:
        raise AppLoadError(f"function {function}: {error}") from error
    return HttpTrigger(
        parameter=binding["name"],
        route=route,
        template=template,
        methods=methods or None,
        auth_level=level,  # type: ignore[arg-type]  # checked three lines above
    )


def _timer_trigger(
    function: str, binding: dict[str, Any], settings: Mapping[str, str]
) -> TimerTrigger:
    where = f"function {function}: schedule"
    text = resolve_references(binding["schedule"], settings, where=where)
    try:
        schedule = parse_schedule(text)
    except ValueError as error:
        raise AppLoadError(f"{where}: {error}") from error
    return TimerTrigger(
        parameter=binding["name"],
        text=text,
        schedule=schedule,
        run_on_startup=bool(binding.get("runOnStartup")),
    )


def _queue_trigger(
    function: str, binding: dict[str, Any], settings: Mapping[str, str]
) -> QueueTrigger:
    return QueueTrigger(
        parameter=binding["name"],
        queue=_queue_name(function, binding, settings),
        connection=binding.get("connection") or "",
        binary=str(binding.get("dataType", "")).lower() == "binary",
    )


def _queue_output(
    function: str, binding: dict[str, Any], settings: Mapping[str, str]
) -> QueueOutput:
    return QueueOutput(
        parameter=binding["name"],
        queue=_queue_name(function, binding, settings),
        connection=binding.get("connection") or "",
    )


def _queue_name(function: str, binding: dict[str, Any], settings: Mapping[str, str]) -> str:
    declared = binding["queueName"]
    name = resolve_references(declared, settings, where=f"function {function}: queue").lower()
    if "{" in name:
        raise AppLoadError(f"function {function}: expressions in {declared!r} are not emulated")
    naming.check_queue_name(function, name)
    return name
