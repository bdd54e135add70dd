"""Test that mutation tests leave text as it is, and change the rest."""

import pytest
from libcst import Module, parse_expression, parse_statement
from mutmut.mutation.mutators import operator_arg_removal, operator_assignment

from tests.mutation.operators import keep_text


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("fail('the text', 1)", ["fail('the text', None)", "fail('the text', )"]),
        ("fail(f'the {text}' 'more')", []),
        ("fail(text)", ["fail(None)"]),
    ],
)
def test_arguments_that_are_text_stay(code: str, changed: list[str]) -> None:
    mutants = keep_text(operator_arg_removal)(parse_expression(code))
    assert [Module(body=[]).code_for_node(mutant) for mutant in mutants] == changed


@pytest.mark.parametrize(("code", "count"), [("a = f'{b}'", 0), ("a = 'b'", 0), ("a = b", 1)])
def test_values_that_are_text_stay(code: str, count: int) -> None:
    assignment = parse_statement(code).children[0]
    assert len(list(keep_text(operator_assignment)(assignment))) == count
