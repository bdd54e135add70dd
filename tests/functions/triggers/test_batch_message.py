import pytest

from functions.triggers import batch_message
from functions.use_cases.dispatch import Assignment, Batch


def test_a_batch_comes_back_as_it_was_sent() -> None:
    batch = Batch("98233500000000-0123456789ab", (Assignment("a'#b", 2, 1), Assignment("c", 1, 0)))
    assert batch_message.from_bytes(batch_message.to_text(batch).encode()) == batch


@pytest.mark.parametrize("body", [b"", b"hello", b"{}", b'{"rolloutId": "x", "devices": [{}]}'])
def test_what_is_no_batch_is_raised_so_that_it_goes_to_the_poison_queue(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - pydantic's message is its own
        batch_message.from_bytes(body)
