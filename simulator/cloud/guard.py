"""Ends the parts of a local cloud when whoever started them is gone without a word.

A process of its own that reads `+<pid>` and `-<pid>` from standard input. The other end of that
pipe belongs to the supervisor: should it be killed, the system closes the pipe, and the guard ends
the process groups that are still on its list.
"""

import contextlib
import os
import signal
import subprocess
import sys
from typing import TextIO


class Guard:
    """The supervisor's side."""

    def __init__(self) -> None:
        """Start the guard."""
        # -I and -S leave out site-packages: the guard is there in some milliseconds.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def watch(self, pid: int) -> None:
        """Put the process group `pid` on the list."""
        self._write(f"+{pid}\n")

    def release(self, pid: int) -> None:
        """Take it off again: it has ended."""
        self._write(f"-{pid}\n")

    def close(self) -> None:
        """Let the guard go; it ends what is still on its list."""
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()

    def _write(self, line: str) -> None:
        if self._process.stdin is None:
            raise AssertionError("the guard was started without a pipe")
        # A guard that was killed guards nothing, but stops nothing either.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line)
            self._process.stdin.flush()


def guard(lines: TextIO) -> None:
    """Read the list until the supervisor closes it, then end what is left on it."""
    watched: set[int] = set()
    for line in lines:
        pid = int(line[1:])
        (watched.add if line.startswith("+") else watched.discard)(pid)
    for pid in watched:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    guard(sys.stdin)
