from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.hub_gateway import query_text
from functions.hub_gateway.query_text import QUERY_AT_MOST, literal, twin_queries


def test_quote_and_backslash_cannot_end_a_literal() -> None:
    assert literal("a'] OR 1=1 --") == r"'a\'] OR 1=1 --'"
    assert literal("a\\") == r"'a\\'"


@given(st.lists(st.text(alphabet="a'\\#", min_size=1, max_size=128), unique=True, max_size=300))
def test_every_device_is_asked_for_once_within_the_hubs_limits(device_ids: list[str]) -> None:
    queries = list(twin_queries(device_ids))
    assert all(len(query) <= QUERY_AT_MOST for query in queries)
    asked = ",".join(query.split("IN [", 1)[1][:-1] for query in queries)
    assert asked == ",".join(map(literal, device_ids))


@pytest.mark.parametrize(
    "queries",
    [
        query_text.connected_queries,
        lambda ids: query_text.members_queries(ids, ["tags.model", "properties.reported.site"]),
    ],
)
def test_the_longest_ids_take_more_queries_and_none_is_too_long(queries: Any) -> None:
    ids = [f"{'x' * 125}{number:03d}" for number in range(100)]
    texts = list(queries(ids))
    assert len(texts) == 2
    assert all(len(text) <= QUERY_AT_MOST for text in texts)
    assert sum(text.count("'x") for text in texts) == 100


def test_a_stratum_is_the_values_in_order_and_absent_ones_are_empty() -> None:
    assert query_text.stratum({"value0": "a", "value1": 7}, ["p", "q"]) == "a/7"
    assert query_text.stratum({"value1": 7}, ["p", "q"]) == "/7"
    assert query_text.stratum({}, []) == ""
    assert query_text.stratum({"value0": True, "value1": 1.5}, ["p", "q"]) == "True/1.5"


def test_long_strata_are_short_and_stay_apart() -> None:
    long = [
        query_text.stratum({"value0": "x" * 4_000 + end}, ["p"]) for end in ("a", "b", "\ud800")
    ]
    assert len(set(long)) == 3
    assert all(len(text) <= query_text.STRATUM_AT_MOST for text in long)
    assert long[0] == query_text.stratum({"value0": "x" * 4_000 + "a"}, ["p"])
