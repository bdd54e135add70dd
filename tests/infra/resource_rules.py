"""Compare the resources of a template with the models of the SDKs."""

import enum
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.infra.sdk_models import Field, Fields, fields_of, has_api_version, model_of
from tests.infra.template import BicepFile, all_resources


def find_unknown(folder: Path) -> list[str]:
    """Return what Azure would refuse: names, enum values, types and API versions."""
    return list(_findings(folder))


def _findings(folder: Path) -> Iterator[str]:
    for file, resource in all_resources(folder):
        path = f"{file.path.name}: {resource.symbol}"
        model = model_of(resource.type)
        if model is None:
            yield f"{path}: no model is known for {resource.type}"
        elif not has_api_version(resource.type, resource.api_version):
            yield f"{path}: the SDK does not know API version {resource.api_version}"
        else:
            body = {name: value for name, value in resource.body.items() if name != "name"}
            yield from _check_object(file, body, fields_of(model), path)


def _check_object(
    file: BicepFile, value: Mapping[str, Any], fields: Fields, path: str
) -> Iterator[str]:
    for name, item in value.items():
        field, here = fields.get(name), f"{path}.{name}"
        if field is None:
            yield f"{here}: unknown; known are {', '.join(sorted(fields))}"
        elif isinstance(field, Field):
            if field.is_read_only:
                yield f"{here}: is read-only"
            yield from _check_value(file, item, field.hint, here)
        elif isinstance(item, dict):
            yield from _check_object(file, item, field, here)


def _check_value(file: BicepFile, value: Any, hint: Any, path: str) -> Iterator[str]:
    branches = _branches(value)
    if branches:
        for branch in branches:
            yield from _check_value(file, branch, hint, path)
        return
    if _is_computed(file, value) or hint is Any:
        return
    options = _options(hint)
    enums = [item for item in options if isinstance(item, type) and issubclass(item, enum.Enum)]
    if enums:
        if value not in {option.value for item in enums for option in item}:
            known = ", ".join(str(option.value) for item in enums for option in item)
            yield f"{path}: {value!r} is not one of {known}"
        return
    yield from _check_shape(file, value, options[0], path)


def _check_shape(file: BicepFile, value: Any, hint: Any, path: str) -> Iterator[str]:
    origin, arguments = typing.get_origin(hint) or hint, typing.get_args(hint)
    if isinstance(value, list):
        if not issubclass(origin, list):
            yield f"{path}: must not be a list"
        for number, item in enumerate(value):
            yield from _check_value(file, item, arguments[0], f"{path}[{number}]")
    elif isinstance(value, dict):
        if origin is dict:
            for name, item in value.items():
                yield from _check_value(file, item, arguments[1], f"{path}.{name}")
        elif origin is not object:
            yield from _check_object(file, value, fields_of(origin), path)
    elif not _fits(value, origin):
        yield f"{path}: {value!r} is not a {origin.__name__}"


def _fits(value: Any, expected: type) -> bool:
    """Return whether a text, number or boolean may stand for a value of the type."""
    if expected is bool:
        return isinstance(value, bool)
    if expected in (int, float):
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, str) and expected is not list


def _options(hint: Any) -> list[Any]:
    """Return the alternatives of a type, without None."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [
            item
            for argument in typing.get_args(hint)
            if argument is not types.NoneType
            for item in _options(argument)
        ]
    return [hint]


def _branches(value: Any) -> list[Any]:
    """Return both values of a conditional expression; nothing for another value."""
    if isinstance(value, dict) and set(value) == {"operator"}:
        operator = value["operator"]
        if operator["type"] == "conditional":
            return [operator["operands"][name] for name in ("true_value", "false_value")]
    return []


def _is_computed(file: BicepFile, value: Any) -> bool:
    """Return whether the value is known to Azure only."""
    if isinstance(value, dict):
        return len(value) == 1 and bool({"operator", "function"} & set(value))
    return value is None or (isinstance(value, str) and (value in file.names or "${" in value))
