"""Bodies and metadata of queue messages."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.host.queue_messages import (
    decode_body,
    message_datum,
    poison_queue_name,
    trigger_metadata,
)
from simulator.host.queue_storage import StoredMessage
from simulator.host.worker import Datum


@given(st.binary())
def test_base64_comes_back(body: bytes) -> None:
    assert decode_body(base64.b64encode(body).decode()) == body


@pytest.mark.parametrize("text", ["plain text", "{}", "YQ", "YQ==x", "ä"])
def test_text_that_is_not_base64_has_no_body(text: str) -> None:
    assert decode_body(text) is None


def test_line_breaks_in_base64_are_ignored() -> None:
    assert decode_body("YW\r\nJj") == b"abc"


@pytest.mark.parametrize(("body", "kind"), [(b"text", "string"), (b"\xff", "bytes")])
def test_a_body_is_text_unless_it_is_not_utf_8(body: bytes, kind: str) -> None:
    assert message_datum(body).type == kind


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
