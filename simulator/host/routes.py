"""Route templates as ASP.NET Core reads them, compiled once and tried in registration order.

A template is a path of literals and parameters: `{x}`, `{x?}` (optional, last), `{*rest}`
(catch-all, last), with inline constraints and mixed segments such as `v{major}.{minor}`. Literals
ignore case; a failed constraint means that the route does not match (Microsoft Learn, "Routing in
ASP.NET Core", "Route templates" and "Route constraints"). Default values (`{x=1}`) are not
emulated.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from simulator.host.route_constraints import Constraint, parse_constraint


class Parameter(NamedTuple):
    """One `{...}` of a template."""

    name: str
    constraints: tuple[Constraint, ...]
    optional: bool
    catch_all: bool


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template; group n of `pattern` is parameter n."""

    text: str
    pattern: re.Pattern[str]
    parameters: tuple[Parameter, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """The parameters that are present in a decoded path, or None when it does not match.

        `path` starts with a slash; one slash at its end is ignored.
        """
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        values: dict[str, str] = {}
        for parameter, value in zip(self.parameters, found.groups(), strict=True):
            if not value:
                continue
            if not all(holds(value) for holds in parameter.constraints):
                return None
            values[parameter.name] = value
        return values


@dataclass(frozen=True, slots=True)
class Route[Target]:
    """A template bound to what it leads to; `methods` None means every verb."""

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
        """The first route for a verb and a decoded path, with its parameters.

        A verb that is not listed is a route that does not match: the host answers 404, not 405.
        """
        for match, methods, target in self._routes:
            if methods is None or method in methods:
                values = match(path)
                if values is not None:
                    return target, values
        return None


def compile_template(text: str) -> Template:
    """Compile a template such as `api/rollouts/{id:guid}`. Raises ValueError naming the fault."""
    parameters: list[Parameter] = []
    segments = _split_segments(text.strip("/"))
    pattern = ""
    for position, segment in enumerate(segments):
        last = position == len(segments) - 1
        pattern += _segment_pattern(segment, parameters, text, last=last)
    names = [parameter.name.lower() for parameter in parameters]
    if len(names) != len(set(names)):
        raise ValueError(f"the route {text!r} uses a parameter name twice")
    return Template(text, re.compile(f"{pattern}/?", re.IGNORECASE), tuple(parameters))


def _segment_pattern(segment: str, into: list[Parameter], template: str, *, last: bool) -> str:
    parts = _split_parts(segment, template)
    if len(parts) == 1 and isinstance(parts[0], Parameter):
        parameter = parts[0]
        if (parameter.optional or parameter.catch_all) and not last:
            raise ValueError(f"the route {template!r}: {parameter.name} must be the last segment")
        into.append(parameter)
        if parameter.catch_all:
            return r"(?:/(.*))?"
        return r"(?:/([^/]+))?" if parameter.optional else r"/([^/]+)"
    pattern = "/"
    for part in parts:
        if isinstance(part, str):
            pattern += re.escape(part)
        elif part.optional or part.catch_all:
            raise ValueError(f"the route {template!r}: {part.name} must be a segment of its own")
        else:
            into.append(part)
            pattern += "([^/]+)"
    return pattern


def _split_segments(text: str) -> list[str]:
    """Split at slashes outside braces: a regex constraint may hold slashes."""
    if not text:
        return []
    segments, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if character == "/" and depth == 0:
            segments.append(text[start:position])
            start = position + 1
    segments.append(text[start:])
    if "" in segments:
        raise ValueError(f"the route {text!r} has an empty segment")
    return segments


_PART = re.compile(r"\{((?:[^{}]|\{\{|\}\})*)\}|([^{}]+)")


def _split_parts(segment: str, template: str) -> list[Parameter | str]:
    parts: list[Parameter | str] = []
    position = 0
    while position < len(segment):
        match = _PART.match(segment, position)
        if match is None:
            raise ValueError(f"the route {template!r} has unbalanced braces")
        if match[1] is not None and parts and isinstance(parts[-1], Parameter):
            raise ValueError(f"the route {template!r} has two parameters with nothing between them")
        parts.append(match[2] if match[1] is None else _parameter(match[1], template))
        position = match.end()
    return parts


_NAME = re.compile(r"(\*{0,2})([^:?=*/{}]+)(.*?)(\??)", re.DOTALL)


def _parameter(text: str, template: str) -> Parameter:
    match = _NAME.fullmatch(text.replace("{{", "{").replace("}}", "}"))
    if match is None or (match[3] and not match[3].startswith(":")):
        raise ValueError(f"the route {template!r}: the parameter {{{text}}} is not understood")
    stars, name, constraints, question = match.groups()
    try:
        parsed = tuple(parse_constraint(part) for part in _split_constraints(constraints))
    except (ValueError, re.error) as error:
        raise ValueError(f"the route {template!r}: {error}") from error
    return Parameter(name, parsed, optional=bool(question), catch_all=bool(stars))


def _split_constraints(text: str) -> list[str]:
    """`:int:range(1,2)` to its constraints; a colon inside brackets does not separate."""
    found, depth = [], 0
    for character in text:
        if character == ":" and depth == 0:
            found.append("")
            continue
        depth += (character == "(") - (character == ")")
        found[-1] += character
    return found
