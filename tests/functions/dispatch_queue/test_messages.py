import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.dispatch_queue import messages
from functions.dispatch_queue.port import Batch
from functions.rollouts.model.device_set import DeviceSet

batches = st.builds(
    Batch,
    st.text(max_size=40),
    st.integers(0, 10**9),
    st.integers(0, 10_000),
    st.integers(0, 2**100 - 1).map(DeviceSet),
)


@given(batches)
def test_a_message_is_read_as_the_batch_that_was_written(batch: Batch) -> None:
    assert messages.from_bytes(messages.to_text(batch).encode()) == batch


@given(batches, st.data())
def test_a_message_that_was_cut_raises(batch: Batch, data: st.DataObject) -> None:
    body = messages.to_text(batch).encode()
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(ValueError):  # noqa: PT011 - pydantic's message is its own
        messages.from_bytes(body[:cut])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"{}",
        b'{"rolloutId": "x", "handOut": -1, "block": 0, "members": "1"}',
        b'{"rolloutId": "x", "handOut": 0, "block": 0, "members": "0x1"}',
        b'{"rolloutId": "x", "handOut": 0, "block": 0, "members": ""}',
        b'{"rolloutId": "x", "handOut": 0, "block": 0, "members": 7}',
        b'{"rolloutId": "x", "handOut": 0, "block": 0, "members": "-1"}',
        b'{"rolloutId": "x", "handOut": 0, "block": 0, "members": "' + b"f" * 65 + b'"}',
        b'{"rolloutId": "x", "handOut": 0, "block": -1, "members": "1"}',
        b'{"rolloutId": "x", "handOut": 0.5, "block": 0, "members": "1"}',
        b'{"rolloutId": null, "handOut": 0, "block": 0, "members": "1"}',
        b'{"rolloutId": "x", "handOut": 0, "members": "1"}',
        b"[]",
        b"\xff\xfe",
    ],
)
def test_an_invalid_message_raises(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - pydantic's message is its own
        messages.from_bytes(body)
