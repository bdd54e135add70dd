from hypothesis import given
from hypothesis import strategies as st

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
