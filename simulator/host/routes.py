"""Route templates as ASP.NET Core reads them, compiled once and tried in registration order.

A template is a path of literals and of parameters that are a whole segment, `{x}`. Literals
ignore case (Microsoft Learn, "Routing in ASP.NET Core", "Route templates"). Constraints, optional
parameters, catch-alls, default values and mixed segments are refused: no route of the app has one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template."""

    text: str
    pattern: re.Pattern[str]
    """Matches a whole path; its groups are the parameters, in order."""
    parameters: tuple[str, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """Return the parameters in a decoded path, or None if it does not match.

        `path` starts with a slash; one slash at its end is ignored.
        """
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        return dict(zip(self.parameters, found.groups(), strict=True))


@dataclass(frozen=True, slots=True)
class Route[Target]:
    """A template bound to its target; `methods` None means every verb."""

    template: Template
    methods: frozenset[str] | None
    target: Target


class RouteTable[Target]:
    """Routes in registration order; the first match wins, there is no ranking."""

    def __init__(self, routes: Sequence[Route[Target]]) -> None:
        self._routes = tuple(
            (route.template.match, route.methods, route.target) for route in routes
        )

    def find(self, method: str, path: str) -> tuple[Target, dict[str, str]] | None:
        """Return the first target for a verb and a decoded path, with its parameters.

        A route that does not list the verb does not match: the response is 404, not 405.
        """
        for match, methods, target in self._routes:
            if methods is None or method in methods:
                values = match(path)
                if values is not None:
                    return target, values
        return None


def compile_template(text: str) -> Template:
    """Compile a template such as `api/rollouts/{id}`. Raises ValueError naming the fault."""
    parameters: list[str] = []
    pattern = ""
    for segment in text.strip("/").split("/") if text.strip("/") else ():
        pattern += _compile_segment(segment, parameters, text.strip("/"))
    names = [name.lower() for name in parameters]
    if len(names) != len(set(names)):
        raise ValueError(f"the route {text!r} uses a parameter name twice")
    return Template(text, re.compile(f"{pattern}/?", re.IGNORECASE), tuple(parameters))


def _compile_segment(segment: str, parameters: list[str], template: str) -> str:
    """Return the pattern of a segment; adds its parameter to `parameters`."""
    if not segment:
        raise ValueError(f"the route {template!r} has an empty segment")
    found = _PARAMETER.fullmatch(segment)
    if found is not None:
        parameters.append(found[1])
        return "/([^/]+)"
    if "{" in segment or "}" in segment:
        raise ValueError(
            f"the route {template!r}: {segment!r} is not supported by the local host; "
            "a parameter must be a whole segment, {name}"
        )
    return "/" + re.escape(segment)
