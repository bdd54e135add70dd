"""Test when signed links expire."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.package_uri import expires_at

BASE = "https://packages.example/fw.bin"
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "query",
    [
        "sv=2024-11-04&se=2027-01-01T00%3A00%3A00Z&sig=abc",
        "sv=2024-11-04&se=2027-01-01&sig=abc",
        "se=2027-01-01T01:00:00%2B01:00&sig=abc",
        "X-Amz-Date=20261231T230000Z&X-Amz-Expires=3600&X-Amz-Signature=abc",
        "X-Goog-Date=20261231T230000Z&X-Goog-Expires=3600&X-Goog-Signature=abc",
        "Expires=1798761600&Signature=abc&Key-Pair-Id=k",
    ],
)
def test_a_signed_link_says_when_it_expires(query: str) -> None:
    assert expires_at(f"{BASE}?{query}") == NEW_YEAR


@pytest.mark.parametrize(
    "query",
    [
        "se=2020-01-01T00:00:00Z",  # not signed
        "se=soon&sig=abc",
        "sig=abc",
        "Expires=1798761600",
        "Expires=-1&Signature=abc",
        "X-Amz-Date=20261231T230000Z&X-Amz-Expires=99999999999&X-Amz-Signature=abc",
        "X-Amz-Date=today&X-Amz-Expires=5&X-Amz-Signature=abc",
        "se=9999-12-31T23:59:59-14:00&sig=abc",
        "",
    ],
)
def test_other_links_do_not_expire(query: str) -> None:
    assert expires_at(f"{BASE}?{query}") is None


@pytest.mark.usefixtures("new_york")
@pytest.mark.parametrize("text", ["2027-01-01", "2027-01-01T00:00:00Z"])
def test_the_zone_of_this_computer_does_not_matter(text: str) -> None:
    found = expires_at(f"{BASE}?se={text}&sig=another")
    assert (found, found and found.tzinfo) == (NEW_YEAR, UTC)


@given(st.text(max_size=60))
def test_no_query_raises(query: str) -> None:
    """Check that any text after the question mark is read."""
    expires_at(f"{BASE}?{query}&sig=a&x-amz-signature=b&signature=c")
