"""What calls use of the hub's messages of a day."""

from dataclasses import astuple

import pytest

from functions.rollouts.model.usage import DEFAULT_COSTS, NO_USAGE, MessageCosts, Usage, blocks

USAGE = Usage(
    methods=1,
    method_messages=2,
    twins=4,
    twin_messages=8,
    other_messages=16,
    reports=32,
    extra_pages=64,
    refusals=128,
)


@pytest.mark.parametrize(
    ("size_bytes", "count"), [(0, 1), (1, 1), (4096, 1), (4097, 2), (8192, 2), (8193, 3)]
)
def test_a_body_is_billed_by_the_blocks_that_it_fills(size_bytes: int, count: int) -> None:
    assert blocks(size_bytes, 4096) == count


def test_usages_add_up() -> None:
    doubled = tuple(2 * number for number in astuple(USAGE))
    assert astuple(USAGE + USAGE) == doubled
    assert USAGE + NO_USAGE == USAGE


def test_messages_are_those_of_methods_twins_queries_and_reports() -> None:
    assert USAGE.messages == 2 + 8 + 16 + 32


def test_costs_approach_those_of_the_latest_calls() -> None:
    some = Usage(methods=50, method_messages=200, twins=10, twin_messages=30)
    assert DEFAULT_COSTS.learn(some) == MessageCosts(method=2 + 2 * 0.5, twin=1 + 2 * 0.1)
    for number in (100, 101, 1000):
        many = Usage(methods=number, method_messages=4 * number)
        assert DEFAULT_COSTS.learn(many) == MessageCosts(method=4.0, twin=1.0)
    assert DEFAULT_COSTS.learn(NO_USAGE) == DEFAULT_COSTS
