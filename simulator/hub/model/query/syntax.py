"""The parser of the query language: text to syntax tree.

Source: Microsoft Learn, "IoT Hub query language for device and module twins, jobs, and message
routing", sections "SELECT clause" to "Operators".
"""

import functools
import math
import re
from pathlib import Path
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken, v_args
from lark.exceptions import VisitError

from simulator.hub.model.errors import QueryError
from simulator.hub.model.query.tree import (
    UNDEFINED,
    Arithmetic,
    Call,
    Comparison,
    Expression,
    Item,
    Literal,
    Logic,
    Membership,
    PathTo,
    Query,
    Value,
)

MAX_QUERY_CHARACTERS = 8192
AGGREGATES = ("COUNT", "AVG", "SUM", "MIN", "MAX")
_CACHED_QUERIES = 256


@functools.lru_cache(_CACHED_QUERIES)
def parse(text: str) -> Query:
    """Parse a query. Raises QueryError with the position of the first unexpected text."""
    if len(text) > MAX_QUERY_CHARACTERS:
        raise QueryError(f"the query is longer than {MAX_QUERY_CHARACTERS} characters")
    try:
        tree = _parser().parse(text)
    except VisitError as error:
        if isinstance(error.orig_exc, QueryError):
            raise error.orig_exc from error
        raise
    except UnexpectedInput as error:
        raise _with_position(text, error) from error
    assert isinstance(tree, Query)  # noqa: S101  narrows lark's untyped result
    return tree


def _with_position(text: str, error: UnexpectedInput) -> QueryError:
    position = error.pos_in_stream
    at_end = isinstance(error, UnexpectedToken) and error.token.type == "$END"
    if position is None or at_end:
        return QueryError("unexpected end of the query", len(text) + 1)
    return QueryError(f"unexpected {text[position : position + 20]!r}", position + 1)


@functools.cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", transformer=_ToQuery(), maybe_placeholders=True)


_SEGMENT = re.compile(r"\[\[([^\]]+)\]\]|([^.\[\]]+)")
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_KEYWORD_VALUES: dict[str, Value] = {
    "true": True,
    "false": False,
    "null": None,
    "undefined": UNDEFINED,
}


def _segments(text: str) -> tuple[str, ...]:
    return tuple(quoted or plain for quoted, plain in _SEGMENT.findall(text))


def _unescape(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        code: str = match[1]
        return chr(int(code[1:], 16)) if len(code) == 5 else code  # noqa: PLR2004  uXXXX

    return _ESCAPE.sub(character, text[1:-1])


@v_args(inline=True)
class _ToQuery(Transformer[Token, Query]):
    """Builds the tree bottom-up while parsing, without recursion."""

    def start(self, top: int | None, items: Any, collection: Token, *rest: Any) -> Query:
        condition, *group_by = rest
        return Query(
            top=top,
            items=items,
            collection=collection.lower(),
            collection_position=(collection.start_pos or 0) + 1,
            condition=condition,
            group_by=tuple(path for path in group_by if path is not None),
        )

    def top(self, count: Token) -> int:
        return int(count)

    def everything(self) -> None:
        return None

    def items(self, *items: Item) -> tuple[Item, ...]:
        return items

    def item(self, expression: Expression, alias: str | None) -> Item:
        return Item(expression, alias)

    def alias(self, name: Token) -> str:
        return _segments(name)[0]

    def collection(self, name: Token) -> Token:
        return name

    def path(self, text: Token) -> PathTo:
        first, *others = _segments(text)
        # "SELECT DeviceId" returns rows with "deviceId": the twin's own names are camelCase.
        return PathTo((first[0].lower() + first[1:], *others))

    def literal(self, token: Token) -> Literal:
        match token.type:
            case "STRING":
                return Literal(_unescape(token))
            case "INTEGER":
                return Literal(int(token))
            case "HEX":
                return Literal(int(token, 16))
            case "DECIMAL":
                return Literal(_finite(token))
            case _:
                return Literal(_KEYWORD_VALUES[token.lower()])

    def number(self, sign: Token, literal: Literal) -> Literal:
        value = literal.value
        assert isinstance(value, int | float)  # noqa: S101  the grammar has numbers only here
        return Literal(-value if sign == "-" else value)

    def array(self, *literals: Literal | None) -> tuple[Value, ...]:
        return tuple(literal.value for literal in literals if literal is not None)

    def any_of(self, *parts: Expression) -> Expression:
        return parts[0] if len(parts) == 1 else Logic("or", parts)

    def all_of(self, *parts: Expression) -> Expression:
        return parts[0] if len(parts) == 1 else Logic("and", parts)

    def negated(self, part: Expression) -> Expression:
        return Logic("not", (part,))

    def compared(self, left: Expression, operator: Token, right: Expression) -> Expression:
        return Comparison("!=" if operator == "<>" else str(operator), left, right)

    def contained(self, left: Expression, values: tuple[Value, ...]) -> Expression:
        return Membership(left, values, negated=False)

    def not_contained(self, left: Expression, values: tuple[Value, ...]) -> Expression:
        return Membership(left, values, negated=True)

    def sums(self, first: Expression, *rest: Any) -> Expression:
        return Arithmetic(first, _pairs(rest)) if rest else first

    def products(self, first: Expression, *rest: Any) -> Expression:
        return Arithmetic(first, _pairs(rest)) if rest else first

    def signed(self, sign: Token, operand: Expression) -> Expression:
        if isinstance(operand, Literal) and isinstance(operand.value, int | float):
            return self.number(sign, operand)
        return Arithmetic(Literal(0), ((str(sign), operand),))

    def call(self, name: Token, *arguments: Expression | None) -> Expression:
        """Build a call. Only functions for message routing take several arguments."""
        position = (name.start_pos or 0) + 1
        if len(arguments) > 1:
            raise QueryError(f"{name.upper()} does not take several arguments", position)
        return Call(name.upper(), arguments[0], position)


def _finite(token: Token) -> float:
    value = float(token)
    if not math.isfinite(value):
        raise QueryError(f"{token} is too large", (token.start_pos or 0) + 1)
    return value


def _pairs(flat: tuple[Any, ...]) -> tuple[tuple[str, Expression], ...]:
    """Return pairs of operator, operand, operator, operand..."""
    return tuple((str(flat[i]), flat[i + 1]) for i in range(0, len(flat), 2))
