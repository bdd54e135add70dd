"""The syntax tree of a query."""

from dataclasses import dataclass


class Undefined:
    """The value of a path that does not exist; not the same as null."""

    def __repr__(self) -> str:
        return "UNDEFINED"


UNDEFINED = Undefined()

type Value = bool | int | float | str | Undefined | None


@dataclass(frozen=True, slots=True)
class Literal:
    value: Value


@dataclass(frozen=True, slots=True)
class PathTo:
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function call."""

    function: str
    """In upper case."""
    argument: "Expression | None"
    position: int


@dataclass(frozen=True, slots=True)
class Comparison:
    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Membership:
    left: "Expression"
    values: tuple[Value, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Logic:
    """`and` or `or` over two or more parts, or `not` over one."""

    operator: str
    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A sum or a product, calculated from left to right."""

    first: "Expression"
    rest: tuple[tuple[str, "Expression"], ...]
    """Each operator with its operand."""


type Expression = Literal | PathTo | Call | Comparison | Membership | Logic | Arithmetic


@dataclass(frozen=True, slots=True)
class Item:
    expression: Expression
    alias: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A parsed query."""

    top: int | None
    items: tuple[Item, ...] | None
    """None for `SELECT *`."""
    collection: str
    """In lower case."""
    collection_position: int
    """1-based, for error messages."""
    condition: Expression | None
    group_by: tuple[PathTo, ...]
