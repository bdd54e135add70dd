"""How messages are stored, split and described."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.host.queue_messages import (
    decode_body,
    encode_body,
    message_datum,
    messages_of,
    poison_queue_name,
    trigger_metadata,
)
from simulator.host.queue_storage import StoredMessage
from simulator.host.worker import Datum


@given(st.binary())
def test_base64_comes_back(body: bytes) -> None:
    assert decode_body(encode_body(body, base64_encoded=True), base64_encoded=True) == body


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_plain_text_comes_back(text: str) -> None:
    stored = encode_body(text, base64_encoded=False)
    assert decode_body(stored, base64_encoded=False) == text.encode()


@pytest.mark.parametrize("text", ["plain text", "{}", "YQ", "YQ==x", "ä"])
def test_what_is_not_base64_is_none(text: str) -> None:
    assert decode_body(text, base64_encoded=True) is None


def test_line_breaks_in_base64_do_not_count() -> None:
    assert decode_body("YW\r\nJj", base64_encoded=True) == b"abc"


@pytest.mark.parametrize(
    ("body", "binary", "kind"),
    [(b"text", False, "string"), (b"text", True, "bytes"), (b"\xff", False, "bytes")],
)
def test_a_body_is_text_unless_it_cannot_be(body: bytes, binary: bool, kind: str) -> None:
    assert message_datum(body, binary=binary).type == kind


@pytest.mark.parametrize(
    ("value", "kind", "messages"),
    [
        ("text", "string", ["text"]),
        ("", "string", [""]),
        ('"quoted"', "string", ['"quoted"']),
        (b"[1]", "bytes", [b"[1]"]),
        ('["a", "b"]', "json", ["a", "b"]),
        (' ["a"] ', "string", ["a"]),
        ("[]", "json", []),
        ("[1, true, null]", "json", ["1", "True", ""]),
        (["a", "b"], "list", ["a", "b"]),
        ('{"a":"ä"}', "string", ['{\n  "a": "ä"\n}']),
        ('[{"a":1}]', "json", ['{\n  "a": 1\n}']),
    ],
)
def test_an_output_is_split_as_the_host_splits_it(
    value: Any, kind: str, messages: list[str | bytes]
) -> None:
    assert list(messages_of(Datum(value, kind))) == messages


def test_text_that_looks_like_json_and_is_not_fails() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        messages_of(Datum("{nothing}", "string"))


@pytest.mark.parametrize(
    ("queue", "poison"),
    [
        ("work", "work-poison"),
        ("a" * 56, "a" * 56 + "-poison"),
        ("a" * 57, None),
        ("work-poison", None),
    ],
)
def test_the_poison_queue_of_a_queue(queue: str, poison: str | None) -> None:
    assert poison_queue_name(queue) == poison


def test_metadata_leaves_out_times_that_are_not_known() -> None:
    message = StoredMessage(
        id="i",
        pop_receipt="r",
        text="t",
        dequeue_count=3,
        inserted_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        expires_at=None,
        next_visible_at=None,
    )
    metadata = trigger_metadata(message, Datum("t", "string"))
    assert metadata["DequeueCount"].python_value == 3
    assert json.loads(metadata["InsertionTime"].value) == "2026-01-02T03:04:05+00:00"
    assert "ExpirationTime" not in metadata
