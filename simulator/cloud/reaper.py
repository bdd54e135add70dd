"""Kill the processes of a local cloud if the program that started them is killed.

The reaper is a process of its own that reads `+<pid>` and `-<pid>` from standard input. The other
end of that pipe belongs to the supervisor. If the supervisor is killed, the system closes the pipe,
and the reaper kills the process groups that are still on its list.
"""

import contextlib
import os
import signal
import subprocess
import sys
from typing import TextIO


class Reaper:
    """The supervisor's end of the pipe."""

    def __init__(self) -> None:
        """Start the reaper."""
        # -I and -S leave out site-packages, so that it starts within milliseconds.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def watch(self, pid: int) -> None:
        """Put the process group `pid` on the list."""
        self._write(f"+{pid}\n")

    def forget(self, pid: int) -> None:
        """Take the process group `pid` off the list: it has ended."""
        self._write(f"-{pid}\n")

    def close(self) -> None:
        """Stop the reaper; it kills what is still on its list."""
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()

    def _write(self, line: str) -> None:
        if self._process.stdin is None:
            raise AssertionError("the reaper was started without a pipe")
        # A reaper that was killed no longer protects anything, but must not stop the cloud either.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line)
            self._process.stdin.flush()


def reap(lines: TextIO) -> None:
    """Read the list until the supervisor closes it, then kill what is left on it."""
    watched: set[int] = set()
    for line in lines:
        pid = int(line[1:])
        (watched.add if line.startswith("+") else watched.discard)(pid)
    for pid in watched:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    reap(sys.stdin)
