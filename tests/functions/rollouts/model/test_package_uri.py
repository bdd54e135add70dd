"""A package's URI, and device texts that repeat it, are shown without secrets."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.package_uri import hide_secrets, hide_secrets_in, is_redacted, redact

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


def test_secrets_in_the_keys_of_objects_are_hidden() -> None:
    assert hide_secrets_in({URI: [1]}, URI) == {SAFE: [1]}
