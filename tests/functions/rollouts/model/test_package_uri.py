"""A package's URI and what devices say of it are shown without secrets."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.package_uri import hidden, hidden_in, is_shown_form, shown

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
def test_a_uri_is_shown_without_its_query_and_user(uri: str, seen: str) -> None:
    assert shown(uri) == seen
    assert shown(seen) == seen
    assert is_shown_form(seen) is seen.endswith("?***")
    assert is_shown_form(uri) is (uri == seen and "?" in uri)


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
def test_what_a_device_says_keeps_its_sense_and_loses_the_secret(said: str, seen: str) -> None:
    assert hidden(said, URI) == seen


def test_a_users_password_is_not_repeated() -> None:
    assert hidden("401 for swordfish", "https://ada:swordfish@a.example/") == "401 for ***"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just(SIGNATURE),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    )
)
def test_an_answer_keeps_its_shape(answer: Any) -> None:
    seen = hidden_in(answer, URI)
    assert SIGNATURE not in repr(seen)
    assert hidden_in(seen, URI) == seen
    if SIGNATURE not in repr(answer):
        assert seen == answer


def test_an_answer_that_is_nested_very_deeply_is_cut() -> None:
    answer: Any = SIGNATURE
    for _ in range(5_000):
        answer = [answer]
    assert repr(hidden_in(answer, URI)).strip("[]") == "'***'"


def test_keys_hold_secrets_too() -> None:
    assert hidden_in({URI: [1]}, URI) == {SAFE: [1]}
