"""A package's URI, and device texts that repeat it, are shown without secrets."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.package_uri import (
    MAX_EARLIER_CHARACTERS,
    add_earlier,
    hide_secrets,
    hide_secrets_in,
    is_redacted,
    redact,
)

SIGNATURE = "Zm9v/YmFy+c2VjcmV0=="
ESCAPED = "Zm9v%2FYmFy%2Bc2VjcmV0%3D%3D"
URI = f"https://acc.blob.example/fw/2.bin?sv=2024-11-04&sr=b&sig={ESCAPED}"
SAFE = "https://acc.blob.example/fw/2.bin?***"


@pytest.mark.parametrize(
    ("uri", "seen"),
    [
        (URI, SAFE),
        ("https://acc.example/fw.bin", "https://acc.example/fw.bin"),
        ("https://ada:secret@acc.example:8443/fw.bin", "https://acc.example:8443/fw.bin"),
        ("https://token@acc.example/", "https://acc.example/"),
        ("https://acc.example?x", "https://acc.example?***"),
        ("https://acc.example/a?x?y@z#t", "https://acc.example/a?***"),
        ("https://acc.example/a#token", "https://acc.example/a"),
        ("http://[::1]:80/fw.bin?a=b", "http://[::1]:80/fw.bin?***"),
    ],
)
def test_a_redacted_uri_has_no_query_and_no_user(uri: str, seen: str) -> None:
    assert redact(uri) == seen
    assert redact(seen) == seen
    assert is_redacted(seen) is seen.endswith("?***")
    assert is_redacted(uri) is (uri == seen and "?" in uri)


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        (f"GET {URI}: 403", f"GET {SAFE} 403"),
        (f"404: '{URI}'", f"404: '{SAFE}'"),
        (f"/fw/2.bin?sv=2024-11-04&sr=b&sig={ESCAPED} is gone", "/fw/2.bin?*** is gone"),
        (f"{ESCAPED} is no signature", "*** is no signature"),
        (f"{SIGNATURE} is no signature", "*** is no signature"),
        (
            "see HTTPS://u:p@other.example/x?key=1#k, please",
            "see HTTPS://other.example/x?*** please",
        ),
        ("no space left", "no space left"),
        ("sr=b", "sr=b"),
    ],
)
def test_a_device_text_loses_only_the_secrets(said: str, seen: str) -> None:
    assert hide_secrets(said, URI) == seen


def test_the_password_of_a_user_is_hidden() -> None:
    assert hide_secrets("401 for swordfish", "https://ada:swordfish@a.example/") == "401 for ***"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just(SIGNATURE),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    )
)
def test_a_response_keeps_its_structure(response: Any) -> None:
    seen = hide_secrets_in(response, URI)
    assert SIGNATURE not in repr(seen)
    assert hide_secrets_in(seen, URI) == seen
    if SIGNATURE not in repr(response):
        assert seen == response


def test_a_response_that_is_nested_too_deeply_is_cut() -> None:
    response: Any = SIGNATURE
    for _ in range(5_000):
        response = [response]
    assert repr(hide_secrets_in(response, URI)).strip("[]") == "'***'"


@pytest.mark.parametrize(("levels", "is_cut"), [(21, False), (22, True)])
def test_a_response_of_a_useful_depth_is_kept(levels: int, is_cut: bool) -> None:
    lists: Any = 7
    objects: Any = 7
    for _ in range(levels):
        lists, objects = [lists], {"a": objects}
    for response in (lists, objects):
        assert (hide_secrets_in(response) != response) is is_cut


@pytest.mark.parametrize(
    ("uri", "secret"),
    [
        ("https://a.example/fw?k=abcdef", "abcdef"),
        ("https://a.example/fw?abcdef", "abcdef"),
        ("https://a.example/fw?x=1;k=abcdef", "abcdef"),
        ("https://a.example/fw#abcdef", "abcdef"),
        ("https://abcdef@a.example/fw", "abcdef"),
        ("https://u:abcdef@a.example/fw", "abcdef"),
        ("https://u:abcdef:ghijkl@a.example/fw", "abcdef:ghijkl"),
        ("https://a.example/fw?k=abcdef=ghijkl", "abcdef=ghijkl"),
        ("https://a.example/fw?k=abc+ef", "abc ef"),
        ("https://a.example/fw?k=ab%2Bcde", "ab+cde"),
    ],
)
def test_any_part_of_a_link_that_may_be_a_secret_is_hidden(uri: str, secret: str) -> None:
    assert hide_secrets(f"403 for {secret}", uri) == "403 for ***"


@pytest.mark.parametrize("uri", ["https://a.example/fw?k=abcde", "https://abcdef.example/abcdef"])
def test_short_values_hosts_and_paths_are_shown(uri: str) -> None:
    assert hide_secrets("403 for abcde and abcdef", uri) == "403 for abcde and abcdef"


def test_the_longest_secret_is_hidden_first() -> None:
    uri = "https://a.example/fw?a=abcdef&b=abcdefgh"
    assert hide_secrets("403 for abcdefgh", uri) == "403 for ***"


def test_a_signature_with_escaped_padding_is_hidden_without_its_link() -> None:
    assert hide_secrets(f"403 for {'a' * 43}%3D") == "403 for ***"


def test_secrets_in_the_keys_of_objects_are_hidden() -> None:
    assert hide_secrets_in({SIGNATURE: 1}, URI) == {"***": 1}
    assert hide_secrets_in({URI: [1]}, URI) == {SAFE: [1]}


EARLIER = "https://packages.example/fw.bin?sv=2024-11-04&sig=b2xkc2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        (f"403 for {SIGNATURE} and b2xkc2lnbmF0dXJl", "403 for *** and ***"),
        ("403 for packages.example/fw.bin?sv=2024-11-04&sig=b2xkc2lnbmF0dXJl", None),
        ("cdn.example/fw?X-Amz-Signature=deadbeef&x=1", "cdn.example/fw?X-Amz-Signature=***&x=1"),
        ("moved to /fw?access_token=abc;v=1", "moved to /fw?access_token=***;v=1"),
        ("sig=abc", "sig=***"),
        ("design=abc", "design=abc"),
    ],
)
def test_the_secrets_of_earlier_and_of_foreign_links_are_hidden(
    said: str, seen: str | None
) -> None:
    found = hide_secrets(said, URI, EARLIER)
    assert "b2xkc2lnbmF0dXJl" not in found
    assert seen is None or found == seen


def test_as_many_earlier_links_are_kept_as_fit_and_the_latest_first() -> None:
    links: tuple[str, ...] = ()
    for number in range(100):
        links = add_earlier(links, f"https://packages.example/fw.bin?sig={number:0200}")
    assert sum(map(len, links)) <= MAX_EARLIER_CHARACTERS
    assert len(links) > 30
    assert links[-1].endswith("99")
    assert links == tuple(sorted(links))


def test_earlier_links_that_fit_exactly_are_kept() -> None:
    half = "x" * (MAX_EARLIER_CHARACTERS // 2)
    rest = "y" * (MAX_EARLIER_CHARACTERS - len(half))
    assert add_earlier((half,), rest) == (half, rest)
    assert add_earlier((half,), rest + "y") == (rest + "y",)


def test_an_address_without_a_query_is_shown_as_it_is() -> None:
    assert hide_secrets("404 for https://other.example/fw.bin", URI) == (
        "404 for https://other.example/fw.bin"
    )
