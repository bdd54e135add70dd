"""Check names and routes; each check raises AppLoadError for what Azure would refuse.

Sources: azure-functions-host, `Utility.ValidateName`, `ScriptHost.ValidateHttpFunction` and
`ScriptHost.HttpRoutesConflict`; Microsoft Learn, "Naming queues and metadata".
"""

import re
from collections.abc import Collection, Sequence

from simulator.host.errors import AppLoadError

_FUNCTION = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,127}")
_BINDING = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}|\$return")
_QUEUE = re.compile(r"(?!.*--)[a-z0-9](?:[a-z0-9-]{1,61}[a-z0-9])")
_RESERVED_ROUTES = ("admin", "runtime")


def check_function_names(names: Sequence[str]) -> None:
    """Check names: a letter, then letters, digits, `_`, `-`; at most 128; not `host`; unique."""
    seen: set[str] = set()
    for name in names:
        if _FUNCTION.fullmatch(name) is None or name.lower() == "host":
            raise AppLoadError(f"{name!r} is not a valid function name")
        if name.lower() in seen:
            raise AppLoadError(f"the function name {name!r} is used twice (names ignore case)")
        seen.add(name.lower())


def check_binding_names(function: str, names: Sequence[str]) -> None:
    """Check names: letters, digits and single underscores; unique within the function."""
    for name in names:
        if _BINDING.fullmatch(name) is None or "__" in name:
            raise AppLoadError(f"function {function}: {name!r} is not a valid binding name")
    if len({name.lower() for name in names}) != len(names):
        raise AppLoadError(f"function {function}: two bindings have the same name")


def check_route(function: str, route: str) -> None:
    """Check that a route does not begin with the host's own `admin` and `runtime`."""
    if route.strip("/").lower().startswith(_RESERVED_ROUTES):
        raise AppLoadError(
            f"function {function}: the route {route!r} conflicts with the host's own routes "
            f"(it begins with {' or '.join(_RESERVED_ROUTES)})"
        )


def check_route_conflicts(
    routes: Sequence[tuple[str, str, Collection[str] | None]],
) -> None:
    """Check that no two functions share a template and a verb.

    Items are function, route and verbs, None for all. Templates are compared as text, ignoring
    case.
    """
    for position, (function, route, methods) in enumerate(routes):
        for other, other_route, other_methods in routes[:position]:
            if route.strip("/").lower() != other_route.strip("/").lower():
                continue
            if not methods or not other_methods or set(methods) & set(other_methods):
                raise AppLoadError(
                    f"function {function}: the route {route!r} conflicts with that of {other}"
                )


def check_queue_name(function: str, name: str) -> None:
    """Check a name: 3 to 63 lower-case letters, digits and single hyphens, no hyphen at an end."""
    if _QUEUE.fullmatch(name) is None:
        raise AppLoadError(f"function {function}: {name!r} is not a valid queue name")
