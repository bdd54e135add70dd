"""Evaluate the queries of alerts: a table, `where` conditions and at last a column by `extend`.

Only what the alerts use is known; anything else is an error. An unknown column is one, too.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, cast

from lark import Lark, Token, Transformer, Tree, v_args

type Row = Mapping[str, Any]
type Value = Callable[[Row], Any]

# Azure Monitor Logs reference: the columns of each table that the app's telemetry fills.
COLUMNS = {
    "AppTraces": frozenset({"TimeGenerated", "Message", "SeverityLevel", "Properties"}),
    "AppMetrics": frozenset(
        {"TimeGenerated", "Name", "Sum", "Min", "Max", "ItemCount", "Properties"}
    ),
}
_GRAMMAR = r"""
    query: NAME ("|" "where" condition)* ("|" "extend" made)?
    made: NAME "=" value
    ?condition: both ("or" both)*         -> any_of
    ?both: test ("and" test)*             -> all_of
    ?test: value "==" value               -> equals
        | value "in" "(" text ("," text)* ")" -> is_in
        | "(" condition ")"
    ?value: "tostring" "(" value ")"      -> as_text
        | NAME                            -> column
        | NAME "." NAME                   -> property
        | text
    text: /'[^']*'/
    NAME: /[A-Za-z_]\w*/
    COMMENT: /\/\/[^\n]*/
    %ignore COMMENT
    %ignore /\s+/
"""


class Query:
    """A parsed query."""

    def __init__(self, text: str) -> None:
        parsed: Tree[Token] = _parser().parse(text)
        self.table = str(parsed.children[0])
        compiler = _Compiler(COLUMNS[self.table])
        parts = [cast("Tree[Token]", item) for item in parsed.children[1:]]
        self._conditions = [compiler.transform(item) for item in parts if item.data != "made"]
        self._made: dict[str, Value] = {
            str(item.children[0]): compiler.transform(cast("Tree[Token]", item.children[1]))
            for item in parts
            if item.data == "made"
        }

    def count(self, rows: Iterable[tuple[str, Row]]) -> int:
        """Return how many of the rows it finds; each row comes with the name of its table."""
        return sum(1 for _ in self._find(rows))

    def count_by(self, column: str, rows: Iterable[tuple[str, Row]]) -> Counter[Any]:
        """Return how many of the rows it finds with each value of a column that it makes."""
        return Counter(self._made[column](row) for row in self._find(rows))

    def _find(self, rows: Iterable[tuple[str, Row]]) -> Iterator[Row]:
        for table, row in rows:
            if table == self.table and all(condition(row) for condition in self._conditions):
                yield row


@v_args(inline=True)
class _Compiler(Transformer[Token, Value]):
    """Make a function of a row of each expression."""

    def __init__(self, columns: frozenset[str]) -> None:
        super().__init__()
        self._columns = columns

    def column(self, name: str) -> Value:
        if name not in self._columns:
            raise ValueError(f"unknown column {name}")
        return lambda row: row.get(str(name))

    def property(self, name: str, key: str) -> Value:
        values = self.column(name)
        return lambda row: (values(row) or {}).get(str(key))

    def text(self, quoted: str) -> Value:
        return lambda _row: quoted[1:-1]

    def as_text(self, value: Value) -> Value:
        return lambda row: "" if value(row) is None else str(value(row))

    def equals(self, left: Value, right: Value) -> Value:
        return lambda row: left(row) == right(row)

    def is_in(self, value: Value, *options: Value) -> Value:
        return lambda row: value(row) in [option(row) for option in options]

    def any_of(self, *conditions: Value) -> Value:
        return lambda row: any(condition(row) for condition in conditions)

    def all_of(self, *conditions: Value) -> Value:
        return lambda row: all(condition(row) for condition in conditions)


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, start="query", parser="earley")
