"""Words and times of the demo's steps."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


def thermostats_of(count: int) -> str:
    """Return `1 thermostat`, `2 thermostats`, ..."""
    return "1 thermostat" if count == 1 else f"{count} thermostats"


@contextmanager
def step(console: Console, what: str) -> Iterator[None]:
    """Print a step, and its seconds when the block ends."""
    started = time.monotonic()
    console.print(f"{what} ... ", end="")
    yield
    console.print(f"{time.monotonic() - started:.1f} s")
