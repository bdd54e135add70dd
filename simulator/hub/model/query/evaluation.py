"""Expressions as Python functions of a row, built once per query.

A row is an Entry (twins of devices and modules) or a job's row. How a path is read in it is an
argument; all else is the same for all collections.

Undefined follows the SQL dialect that IoT Hub shares with Azure Cosmos DB: an operator with an
undefined operand is undefined, unless another operand decides AND or OR; values of different types
are unequal, and neither is less. Only a condition that is exactly true selects a row (Microsoft
Learn, "IoT Hub query language...", "Expressions and conditions"). How IoT Hub compares values of
different types is unverified.
"""

import math
import operator
from collections.abc import Callable
from functools import partial
from types import NoneType
from typing import Any, assert_never

from simulator.hub.model.errors import QueryError
from simulator.hub.model.json_types import Document
from simulator.hub.model.query.paths import Evaluator, Field, Paths
from simulator.hub.model.query.tree import (
    UNDEFINED,
    Arithmetic,
    Call,
    Comparison,
    Expression,
    Literal,
    Logic,
    Membership,
    PathTo,
    Undefined,
    Value,
)
from simulator.hub.model.store import Entry

MAX_NESTING = 50
"""Levels of nested expressions; deeper ones are refused, to protect the interpreter's stack."""


def predicate(expression: Expression, paths: Paths) -> Callable[[Any], bool]:
    """Build a WHERE condition: a function from a row to true or false. Raises QueryError."""
    value = evaluator(expression, paths)
    return lambda entry: value(entry) is True


def evaluator(  # noqa: PLR0911  a case each
    expression: Expression, paths: Paths, depth: int = 0
) -> Evaluator:
    """Build the function that returns an expression's value for a row. Raises QueryError."""
    if depth > MAX_NESTING:
        raise QueryError(f"the query nests deeper than {MAX_NESTING} levels")
    inner = partial(evaluator, paths=paths, depth=depth + 1)
    match expression:
        case Literal(value):
            return lambda _entry: value
        case PathTo(names):
            return paths(names)
        case Call():
            return _function(expression, paths)
        case Comparison(sign, left, right):
            return _comparison(sign, inner(left), inner(right))
        case Membership(left, values, negated):
            return _membership(inner(left), values, negated=negated)
        case Logic("not", (part,)):
            return _negation(inner(part))
        case Logic(word, parts):
            return _junction([inner(part) for part in parts], decisive=word == "or")
        case Arithmetic(first, rest):
            return _arithmetic(inner(first), [(sign, inner(part)) for sign, part in rest])
        case _:
            assert_never(expression)


def is_number(value: Field) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _function(call: Call, paths: Paths) -> Evaluator:
    """Build IS_DEFINED, the only function that the page documents for twins and jobs."""
    if call.function != "IS_DEFINED":
        raise QueryError(f"{call.function} is not supported here", call.position)
    if not isinstance(call.argument, PathTo):
        raise QueryError("IS_DEFINED takes a path", call.position)
    value = paths(call.argument.names)
    return lambda entry: value(entry) is not UNDEFINED


KINDS: dict[type, str] = {
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    NoneType: "null",
}
_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _comparison(sign: str, left: Evaluator, right: Evaluator) -> Evaluator:
    """Compare primitives. With an object or an array the result is undefined."""
    if sign in _ORDERED:
        return _order(_ORDERED[sign], left, right)
    equal_is = sign == "="

    def equality(entry: Entry) -> Field:
        first, second = left(entry), right(entry)
        kinds = KINDS.get(first.__class__), KINDS.get(second.__class__)
        if None in kinds:
            return UNDEFINED
        return (kinds[0] == kinds[1] and first == second) is equal_is

    return equality


def _order(compare: Callable[[Any, Any], bool], left: Evaluator, right: Evaluator) -> Evaluator:
    def order(entry: Entry) -> Field:
        first, second = left(entry), right(entry)
        kind = KINDS.get(first.__class__)
        if kind in (None, "null") or kind != KINDS.get(second.__class__):
            return UNDEFINED
        return compare(first, second)

    return order


def _membership(left: Evaluator, values: tuple[Value, ...], *, negated: bool) -> Evaluator:
    """Test membership by a set of (kind, value), so that an IN of hundreds of ids is fast."""
    allowed = {
        (KINDS[value.__class__], value) for value in values if not isinstance(value, Undefined)
    }

    def contains(entry: Entry) -> Field:
        value = left(entry)
        kind = KINDS.get(value.__class__)
        if kind is None:
            return UNDEFINED
        return ((kind, value) in allowed) is not negated

    return contains


def _negation(part: Evaluator) -> Evaluator:
    def negation(entry: Entry) -> Field:
        value = part(entry)
        return (not value) if isinstance(value, bool) else UNDEFINED

    return negation


def _junction(parts: list[Evaluator], *, decisive: bool) -> Evaluator:
    """Combine with OR (the first true decides) or AND (the first false); else undefined wins."""

    def junction(entry: Entry) -> Field:
        result: Field = not decisive
        for part in parts:
            value = part(entry)
            if value is decisive:
                return decisive
            if not isinstance(value, bool):
                result = UNDEFINED
        return result

    return junction


_OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": math.fmod,
}
_LARGEST_EXACT = 1 << 63


def _arithmetic(first: Evaluator, rest: list[tuple[str, Evaluator]]) -> Evaluator:
    steps = [(_OPERATORS[sign], part) for sign, part in rest]

    def arithmetic(entry: Entry) -> Field:
        result = first(entry)
        for apply, part in steps:
            result = _apply_operator(apply, result, part(entry))
        return result

    return arithmetic


def _apply_operator(apply: Callable[[float, float], float], left: Field, right: Field) -> Field:
    """Calculate with numbers only. A result that is not finite, as of x / 0, is undefined."""
    if isinstance(left, bool) or isinstance(right, bool):
        return UNDEFINED
    if not isinstance(left, int | float) or not isinstance(right, int | float):
        return UNDEFINED
    try:
        result = apply(left, right)
        if abs(result) > _LARGEST_EXACT:
            result = float(result)
    except (ArithmeticError, ValueError):
        return UNDEFINED
    return result if math.isfinite(result) else UNDEFINED


def as_document(pairs: list[tuple[str, Field]]) -> Document:
    """Return a raw row; undefined values are left out (unverified)."""
    return {name: value for name, value in pairs if not isinstance(value, Undefined)}
