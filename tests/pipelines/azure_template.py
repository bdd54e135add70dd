"""Expand the steps template as Azure Pipelines does before a run, as far as it uses that."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from simulator.paths import REPOSITORY

TEMPLATE = REPOSITORY / "pipelines/azure-steps.yml"
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")
_FUNCTIONS = {
    "eq": lambda one, other: one == other,
    "ne": lambda one, other: one != other,
    "iif": lambda test, one, other: one if test else other,
    "__builtins__": {},
}


def expand(given: Mapping[str, str]) -> list[Any]:
    """Return the steps with these parameters."""
    template = yaml.safe_load(TEMPLATE.read_text())
    known = {item["name"]: item for item in template["parameters"]}
    assert given.keys() <= known.keys()
    values = {name: given.get(name, item.get("default")) for name, item in known.items()}
    assert None not in values.values()
    steps: list[Any] = []
    chosen = False
    for step in template["steps"]:
        (key,) = step if len(step) == 1 else ("",)
        if not key.startswith("${{"):
            steps.append(_fill(step, values))
            continue
        is_if = key.startswith("${{ if ")
        chosen = is_if and bool(_value(key[len("${{ if ") : -2], values))
        if chosen or not (is_if or _was_chosen(steps)):
            steps += [_fill(item, values) for item in step[key]]
    return steps


def _was_chosen(steps: list[Any]) -> bool:
    return any(step.get("name") == "fleet" for step in steps)


def _fill(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {name: _fill(item, values) for name, item in value.items()}
    return _EXPRESSION.sub(lambda found: str(_value(found[1], values)), value)


def _value(expression: str, values: Mapping[str, Any]) -> Any:
    named = re.sub(r"parameters\.(\w+)", lambda found: repr(values[found[1]]), expression)
    return eval(named.strip(), dict(_FUNCTIONS))  # noqa: S307 - this repository's own text
