"""One part of the local cloud: a child process with a log and a line that says it is ready."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from simulator.cloud.errors import PartError
from simulator.cloud.guard import Guard
from simulator.paths import REPOSITORY

START_SECONDS = 60.0
GRACE_SECONDS = 8.0
_POLL_SECONDS = 0.05
_TAIL_LINES = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class PartOptions:
    """How a part is started; it is ready once its log has a line that starts with `ready`."""

    name: str
    command: list[str]
    ready: str
    log: Path
    environment: Mapping[str, str]


class Part:
    """A running part, in a session of its own: Ctrl-C reaches the supervisor alone."""

    def __init__(self, options: PartOptions, guard: Guard) -> None:
        """Start the process; `wait_until_ready` says when it can be used."""
        self.options = options
        self._guard = guard
        options.log.write_bytes(b"")
        self._process = self._started()

    def restart(self) -> None:
        """End the process if it still runs, and start it again; its log goes on."""
        self.stop()
        self._process = self._started()

    @property
    def pid(self) -> int:
        """The process, and its process group."""
        return self._process.pid

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Return once the ready line is in the log. Raises PartError."""
        deadline = time.monotonic() + seconds
        while not self._is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise PartError(self._explained(f"was not ready within {seconds:g} s"))
            time.sleep(_POLL_SECONDS)

    def check(self) -> None:
        """Raises PartError if the part has ended."""
        code = self._process.poll()
        if code is not None:
            raise PartError(self._explained(f"ended with code {code}"))

    def stop(self, seconds: float = GRACE_SECONDS) -> None:
        """Ask the part to leave; end it and its children if it has not within `seconds`."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._guard.release(self.pid)

    def _started(self) -> subprocess.Popen[bytes]:
        # What an earlier process wrote makes this one neither ready nor guilty.
        self._log_start = self.options.log.stat().st_size
        with self.options.log.open("ab") as log:
            process = subprocess.Popen(
                self.options.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | self.options.environment,
                cwd=REPOSITORY,
                start_new_session=True,
            )
        self._guard.watch(process.pid)
        return process

    def _is_ready(self) -> bool:
        return any(line.startswith(self.options.ready) for line in self._log_lines())

    def _explained(self, what: str) -> str:
        tail = "\n".join(f"  {line}" for line in self._log_lines()[-_TAIL_LINES:])
        return f"{self.options.name} {what}; the end of {self.options.log}:\n{tail}"

    def _log_lines(self) -> list[str]:
        written = self.options.log.read_bytes()[self._log_start :]
        return written.decode(errors="replace").splitlines()
