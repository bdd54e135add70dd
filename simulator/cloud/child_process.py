"""Run one process of the local cloud, with a log; a line of the log reports that it is ready."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from simulator.cloud.errors import ProcessError
from simulator.cloud.reaper import Reaper
from simulator.paths import REPOSITORY

START_SECONDS = 60.0
GRACE_SECONDS = 8.0
_POLL_SECONDS = 0.05
_TAIL_LINES = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildProcessOptions:
    """How a process is started."""

    name: str
    """The name in messages."""
    command: list[str]
    ready: str
    """The process is ready once a line of its log starts with this text."""
    log: Path
    environment: Mapping[str, str]
    """Variables beside those of this process."""


class ChildProcess:
    """A running process, in a session of its own: Ctrl-C reaches the supervisor alone."""

    def __init__(self, options: ChildProcessOptions, reaper: Reaper) -> None:
        """Start the process, with an empty log; `wait_until_ready` waits until it can be used."""
        self.options = options
        self._reaper = reaper
        options.log.write_bytes(b"")
        self._process = self._start()

    def restart(self) -> None:
        """Stop the process if it still runs, and start it again; its log is kept."""
        self.stop()
        self._process = self._start()

    @property
    def pid(self) -> int:
        """The process id, which is the process group too."""
        return self._process.pid

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Return once the ready line is in the log. Raises ProcessError."""
        deadline = time.monotonic() + seconds
        while not self._is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise ProcessError(self._with_log(f"was not ready within {seconds:g} s"))
            time.sleep(_POLL_SECONDS)

    def check(self) -> None:
        """Raise ProcessError if the process has ended."""
        code = self._process.poll()
        if code is not None:
            raise ProcessError(self._with_log(f"ended with code {code}"))

    def stop(self, seconds: float = GRACE_SECONDS) -> None:
        """Terminate the process; kill it and its children if it has not ended within `seconds`."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._reaper.forget(self.pid)

    def _start(self) -> subprocess.Popen[bytes]:
        # The output of an earlier process must not make this one ready, nor explain its end.
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
        self._reaper.watch(process.pid)
        return process

    def _is_ready(self) -> bool:
        return any(line.startswith(self.options.ready) for line in self._log_lines())

    def _with_log(self, message: str) -> str:
        tail = "\n".join(f"  {line}" for line in self._log_lines()[-_TAIL_LINES:])
        return f"{self.options.name} {message}; the end of {self.options.log}:\n{tail}"

    def _log_lines(self) -> list[str]:
        written = self.options.log.read_bytes()[self._log_start :]
        return written.decode(errors="replace").splitlines()
