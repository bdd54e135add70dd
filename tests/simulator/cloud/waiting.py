"""Waiting for what another process does, with a deadline."""

import os
import time
from collections.abc import Callable
from pathlib import Path


def eventually(what: str, look: Callable[[], object], *, seconds: float = 20) -> None:
    """Return once `look()` is true."""
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"within {seconds:g} s not seen: {what}"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
