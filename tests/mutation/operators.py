"""Choose which changes mutmut makes: none to text, most of which is messages."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from libcst import BaseString, CSTNode
from mutmut.mutation import mutators

type Operator = Callable[[Any], Iterable[CSTNode]]


def leave_text() -> None:
    """Keep mutmut from changing, dropping or replacing text in quotes."""
    operators = cast("list[tuple[type, Operator]]", mutators.mutation_operators)
    operators[:] = [
        (kind, keep_text(operator)) for kind, operator in operators if kind is not BaseString
    ]


def keep_text(operator: Operator) -> Operator:
    """Return the operator without the changes that drop an argument or a value that is text."""

    def mutate(node: Any) -> Iterator[CSTNode]:
        texts = _count_texts(node)
        return (changed for changed in operator(node) if _count_texts(changed) == texts)

    return mutate


def _count_texts(node: Any) -> int:
    values = [getattr(node, "value", None), *(arg.value for arg in getattr(node, "args", ()))]
    return sum(isinstance(value, BaseString) for value in values)
