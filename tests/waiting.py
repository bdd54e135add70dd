"""Waits for a condition."""

import time
from collections.abc import Callable

_MAX_COUNTED_SECONDS = 1.0


def eventually[T](
    read: Callable[[], T | None], *, what: object = "a value", seconds: float = 30
) -> T:
    """Call `read` until it returns something true; return that.

    Raises AssertionError after `seconds`, with `what` as it then is. One call of `read` counts as
    at most one second: a machine that stands still for longer uses up no more.
    """
    counted = 0.0
    while True:
        began = time.monotonic()
        if seen := read():
            return seen
        assert counted < seconds, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
        counted += min(time.monotonic() - began, _MAX_COUNTED_SECONDS)
