"""Percent-decoding, queries, dot segments and responses: the pure parts of the HTTP side."""

from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.host.http_messages import parse_query, response_from
from simulator.host.http_server import remove_dot_segments
from simulator.host.percent import decode_path, decode_query_part
from simulator.host.worker import Datum


@pytest.mark.parametrize(
    ("path", "decoded"),
    [
        ("/a", "/a"),
        ("/a%20b", "/a b"),
        ("/a+b", "/a+b"),
        ("/a%2Fb%2fc", "/a%2Fb%2fc"),
        ("/a%252Fb", "/a%2Fb"),
        ("/%C3%A9", "/é"),
        ("/%C3", "/%C3"),
        ("/%ff%41", "/%FFA"),
        ("/%C3%2F%A9", "/%C3%2F%A9"),
        ("/%ED%A0%80", "/%ED%A0%80"),
        ("/%", "/%"),
        ("/%4", "/%4"),
        ("/%zz", "/%zz"),
    ],
)
def test_a_path_is_decoded_once(path: str, decoded: str) -> None:
    assert decode_path(path) == decoded


def test_a_nul_in_a_path_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        decode_path("/a%00")


@given(st.text(alphabet=st.characters(exclude_characters="/\0", exclude_categories=["Cs"])))
def test_a_quoted_segment_comes_back(text: str) -> None:
    assert decode_path("/" + quote(text, safe="")) == "/" + text


@given(st.text(alphabet="%0123456789abcdefABCDEF/+x"))
def test_any_path_and_query_part_is_decoded_or_refused(text: str) -> None:
    decode_query_part(text).encode()
    try:
        decode_path(text).encode()
    except ValueError:
        assert "%00" in text


@pytest.mark.parametrize(
    ("query", "parsed"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a=1&a=2", {"a": "1,2"}),
        ("a=1&A=2", {"a": "1,2"}),
        ("a=&b", {}),
        ("a=&a=1", {"a": "1"}),
        ("a=b=c", {"a": "b=c"}),
        ("a=x+y%2Bz%2F", {"a": "x y+z/"}),
        ("a%20b=1", {"a b": "1"}),
        ("a=%FF", {"a": "%FF"}),
        ("&&=1", {"": "1"}),
    ],
)
def test_a_query_is_parsed_as_a_python_function_sees_it(query: str, parsed: Any) -> None:
    assert parse_query(query) == parsed


@given(st.dictionaries(st.sampled_from("abc"), st.text(min_size=1)))
def test_an_encoded_query_comes_back(values: dict[str, str]) -> None:
    encoded = urlencode(values, errors="surrogatepass")
    if not any("\ud800" <= c <= "\udfff" for value in values.values() for c in value):
        assert parse_query(encoded) == values


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("/a/b", "/a/b"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/../../a", "/a"),
        ("/a/..", "/"),
        ("/a/.", "/a/"),
        ("/a/.b/..c", "/a/.b/..c"),
    ],
)
def test_dot_segments_are_resolved(path: str, clean: str) -> None:
    assert remove_dot_segments(path) == clean


@pytest.mark.parametrize("returned", [None, Datum("[1]", "string"), Datum("{}", "json")])
def test_a_return_value_that_is_no_http_response_is_refused(returned: Any) -> None:
    with pytest.raises(ValueError, match="did not return an HttpResponse"):
        response_from(returned)


@pytest.mark.parametrize(
    ("status", "headers"),
    [("99", {}), ("1000", {}), ("100", {}), ("200", {"a": "b\r\nc: d"}), ("200", {"a\n": "b"})],
)
def test_a_response_that_http_cannot_carry_is_refused(status: str, headers: dict[str, str]) -> None:
    value = {
        "status_code": Datum(status, "string"),
        "headers": {name: Datum(text, "string") for name, text in headers.items()},
        "body": Datum(b"", "bytes"),
        "cookies": None,
    }
    with pytest.raises(ValueError, match=r"status code|line break"):
        response_from(Datum(value, "http"))
