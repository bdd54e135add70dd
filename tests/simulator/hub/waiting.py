"""Waiting for a condition, with a deadline instead of a fixed sleep."""

import time
from collections.abc import Callable


def eventually(condition: Callable[[], object], *, seconds: float = 10) -> None:
    """Return once `condition()` is true; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)
