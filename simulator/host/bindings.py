"""Parse what a function declares, from the raw bindings into typed records.

This host supports what the app uses: HTTP, timer and queue triggers, and the HTTP response as
`$return`. It refuses to start an app that declares anything else.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from simulator.host import naming
from simulator.host.errors import AppLoadError
from simulator.host.routes import Template, compile_template
from simulator.host.schedule import Schedule, parse_schedule
from simulator.host.settings import is_true

type AuthLevel = Literal["anonymous", "function"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTrigger:
    """Requests to a route start the function."""

    parameter: str
    """The function's argument that receives the request."""
    route: str
    """Without the app's route prefix."""
    template: Template
    """The route with the prefix."""
    methods: frozenset[str] | None
    """Verbs in upper case; None accepts every verb."""
    auth_level: AuthLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerTrigger:
    """A schedule starts the function."""

    parameter: str
    text: str
    """The schedule as declared."""
    schedule: Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueTrigger:
    """Messages of a queue start the function."""

    parameter: str
    queue: str
    connection: str
    """The name of the connection setting, as declared."""


type Trigger = HttpTrigger | TimerTrigger | QueueTrigger


@dataclass(frozen=True, slots=True, kw_only=True)
class AppFunction:
    """One function of the app."""

    name: str
    id: str
    """The runtime library's id of the function."""
    trigger: Trigger
    disabled: bool


def parse_functions(
    declared: Sequence[tuple[str, str, Sequence[str]]],
    *,
    settings: Mapping[str, str],
    route_prefix: str,
) -> tuple[AppFunction, ...]:
    """Parse all functions of an app; items are name, id and raw bindings as JSON texts.

    Raises AppLoadError for what Azure would refuse and for what this host does not support.
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
    found = [_parse_trigger(name, binding, route_prefix) for binding in bindings]
    triggers = [trigger for trigger in found if trigger is not None]
    if len(triggers) != 1:
        raise AppLoadError(f"function {name}: one trigger is needed, {len(triggers)} are declared")
    return AppFunction(
        name=name,
        id=function_id,
        trigger=triggers[0],
        disabled=is_true(settings.get(f"AzureWebJobs.{name}.Disabled")),
    )


def _parse_trigger(function: str, binding: dict[str, Any], route_prefix: str) -> Trigger | None:
    """Return the trigger that a binding declares; None for the HTTP response."""
    match binding["type"].lower():
        case "httptrigger":
            return _http_trigger(function, binding, route_prefix)
        case "timertrigger":
            return _timer_trigger(function, binding)
        case "queuetrigger":
            return _queue_trigger(function, binding)
        case "http" if binding["name"] == "$return":
            return None
        case other:
            raise _unsupported_error(function, f"the binding {other}")


def _http_trigger(function: str, binding: dict[str, Any], prefix: str) -> HttpTrigger:
    route = binding.get("route") or function
    naming.check_route(function, route)
    level = str(binding.get("authLevel", "function")).lower()
    if level not in {"anonymous", "function"}:
        raise _unsupported_error(function, f"the authorization level {level}")
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
        auth_level=level,  # type: ignore[arg-type]  # checked above
    )


def _timer_trigger(function: str, binding: dict[str, Any]) -> TimerTrigger:
    if binding.get("runOnStartup"):
        raise _unsupported_error(function, "runOnStartup")
    text = binding["schedule"]
    try:
        schedule = parse_schedule(text)
    except ValueError as error:
        raise AppLoadError(f"function {function}: schedule: {error}") from error
    return TimerTrigger(parameter=binding["name"], text=text, schedule=schedule)


def _queue_trigger(function: str, binding: dict[str, Any]) -> QueueTrigger:
    if str(binding.get("dataType", "")).lower() == "binary":
        raise _unsupported_error(function, "the data type binary")
    queue = binding["queueName"].lower()
    naming.check_queue_name(function, queue)
    return QueueTrigger(
        parameter=binding["name"], queue=queue, connection=binding.get("connection") or ""
    )


def _unsupported_error(function: str, what: str) -> AppLoadError:
    return AppLoadError(f"function {function}: {what} is not supported by the local host")
