from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.hub_gateway import query_text
from functions.hub_gateway.query_text import MAX_QUERY_CHARACTERS, literal, twin_queries


def test_quotes_and_backslashes_do_not_end_a_literal() -> None:
    assert literal("a'] OR 1=1 --") == r"'a\'] OR 1=1 --'"
    assert literal("a\\") == r"'a\\'"


@given(st.lists(st.text(alphabet="a'\\#", min_size=1, max_size=128), unique=True, max_size=300))
def test_queries_name_each_device_once_and_are_short_enough(device_ids: list[str]) -> None:
    queries = list(twin_queries(device_ids))
    assert all(len(query) <= MAX_QUERY_CHARACTERS for query in queries)
    named = ",".join(query.split("IN [", 1)[1][:-1] for query in queries)
    assert named == ",".join(map(literal, device_ids))


@pytest.mark.parametrize(
    "queries",
    [
        query_text.connection_queries,
        query_text.version_count_queries,
        lambda ids: query_text.device_queries(ids, ["tags.model", "properties.reported.site"]),
    ],
)
def test_the_longest_ids_take_two_queries_that_are_short_enough(queries: Any) -> None:
    ids = [f"{'x' * 125}{number:03d}" for number in range(100)]
    texts = list(queries(ids))
    assert len(texts) == 2
    assert all(len(text) <= MAX_QUERY_CHARACTERS for text in texts)
    assert sum(text.count("'x") for text in texts) == 100


def test_a_stratum_has_the_values_in_order_and_missing_ones_are_empty() -> None:
    assert query_text.stratum({"value0": "a", "value1": 7}, ["p", "q"]) == "a/7"
    assert query_text.stratum({"value1": 7}, ["p", "q"]) == "/7"
    assert query_text.stratum({}, []) == ""
    assert query_text.stratum({"value0": True, "value1": 1.5}, ["p", "q"]) == "True/1.5"


def test_long_strata_are_cut_and_stay_different() -> None:
    long = [
        query_text.stratum({"value0": "x" * 4_000 + end}, ["p"]) for end in ("a", "b", "\ud800")
    ]
    assert len(set(long)) == 3
    assert all(len(text) <= query_text.MAX_STRATUM_CHARACTERS for text in long)
    assert long[0] == query_text.stratum({"value0": "x" * 4_000 + "a"}, ["p"])
