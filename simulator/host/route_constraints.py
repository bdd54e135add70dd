"""Inline constraints of route templates, `{id:int:min(1)}`: each is a test of the decoded text.

Names and meanings: Microsoft Learn, "Routing in ASP.NET Core", section "Route constraints".
`datetime` accepts ISO 8601 only, the part of what .NET parses that fits into one segment.
`file` and `nonfile` are not emulated.
"""

import re
import uuid
from collections.abc import Callable
from datetime import datetime

Constraint = Callable[[str], bool]

_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*")
_NUMBER = re.compile(r"\s*[+-]?(?:[0-9][0-9,]*)?\.?[0-9]*(?:[eE][+-]?[0-9]+)?\s*")
_DIGIT = re.compile(r"[0-9]")


def parse_constraint(text: str) -> Constraint:
    """The test that `text`, for example `int` or `length(1,20)`, stands for.

    Raises ValueError for an unknown name or wrong arguments.
    """
    name, bracket, rest = text.partition("(")
    if bracket:
        if not rest.endswith(")"):
            raise ValueError(f"the constraint {text!r} has no closing bracket")
        return _with_arguments(name.strip().lower(), rest[:-1], text)
    try:
        return _PLAIN[name.strip().lower()]
    except KeyError:
        raise ValueError(f"the constraint {text!r} is not known") from None


def _with_arguments(name: str, arguments: str, text: str) -> Constraint:
    if name == "regex":
        pattern = re.compile(arguments, re.IGNORECASE)
        return lambda value: pattern.search(value) is not None
    try:
        numbers = [int(part) for part in arguments.split(",")]
        return _NUMERIC[name, len(numbers)](*numbers)
    except (KeyError, ValueError):
        raise ValueError(f"the constraint {text!r} is not known") from None


def _integer_within(least: int, most: int) -> Constraint:
    return lambda value: _INTEGER.fullmatch(value) is not None and least <= int(value) <= most


def _length_within(least: int, most: float) -> Constraint:
    return lambda value: least <= len(value) <= most


def _is_decimal(value: str) -> bool:
    return _NUMBER.fullmatch(value) is not None and _DIGIT.search(value) is not None


def _is_guid(value: str) -> bool:
    try:
        uuid.UUID(value)
    except ValueError:
        return False
    return True


def _is_datetime(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


_LONG = 2**63
_PLAIN: dict[str, Constraint] = {
    "int": _integer_within(-(2**31), 2**31 - 1),
    "long": _integer_within(-_LONG, _LONG - 1),
    "bool": lambda value: value.strip().lower() in {"true", "false"},
    "guid": _is_guid,
    "alpha": lambda value: value.isascii() and value.isalpha(),
    "decimal": _is_decimal,
    "double": _is_decimal,
    "float": _is_decimal,
    "datetime": _is_datetime,
    "required": lambda value: value != "",
}
_NUMERIC: dict[tuple[str, int], Callable[..., Constraint]] = {
    ("length", 1): lambda length: _length_within(length, length),
    ("length", 2): _length_within,
    ("minlength", 1): lambda least: _length_within(least, float("inf")),
    ("maxlength", 1): lambda most: _length_within(0, most),
    ("min", 1): lambda least: _integer_within(least, _LONG - 1),
    ("max", 1): lambda most: _integer_within(-_LONG, most),
    ("range", 2): _integer_within,
}
