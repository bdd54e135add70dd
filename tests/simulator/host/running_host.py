"""Runs a host as a child process: the runtime library holds one app per process.

Everything has a deadline; a host that does not start or end in time fails the test with its
output.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import requests

from tests.waiting import eventually

APPS = Path(__file__).parent / "apps"
REPOSITORY = Path(__file__).resolve().parents[3]

_START = """
import sys
from pathlib import Path
from simulator.host.options import HostOptions
from simulator.host.command import run
sys.exit(run(HostOptions(app_directory=Path(sys.argv[1]), **eval(sys.argv[2]))))
"""


class RunningHost:
    """A child process; `url` is None if it ended before it was ready."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process = process
        self._folder = folder
        self.url: str | None = None

    def __str__(self) -> str:
        return f"{self.output}\n{self.log}"

    @property
    def output(self) -> str:
        """The output so far."""
        return (self._folder / "stdout").read_text()

    @property
    def log(self) -> str:
        """The log so far."""
        return (self._folder / "stderr").read_text()

    def wait_until_ready(self) -> None:
        """Return once the ready line is printed or the process has ended."""
        eventually(lambda: self._ready() or self.process.poll() is not None, what=self)

    def request(self, method: str, path: str, **options: object) -> requests.Response:
        """Send an HTTP request to the host."""
        return requests.request(method, f"{self.url}{path}", timeout=10, **options)  # type: ignore[arg-type]

    def stop(self, number: int = signal.SIGTERM, *, seconds: float = 15) -> int:
        """Send a signal, wait for the end, return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(seconds)

    def _ready(self) -> bool:
        for line in self.output.splitlines():
            if line.startswith("host ready "):
                self.url = line.removeprefix("host ready ")
                return True
        return False


def start(
    app: Path | str, folder: Path, settings: Mapping[str, str] | None = None, **options: object
) -> RunningHost:
    """Start a host on a free port for an app folder, or for one of `apps` by name."""
    directory = APPS / app if isinstance(app, str) else app
    folder.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)} | dict(settings or {})
    with (folder / "stdout").open("wb") as output, (folder / "stderr").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _START, str(directory), repr({"port": 0} | options)],
            stdout=output,
            stderr=log,
            env=environment,
            cwd=folder,
        )
    host = RunningHost(process, folder)
    host.wait_until_ready()
    return host


@contextlib.contextmanager
def run_host(
    app: Path | str, folder: Path, settings: Mapping[str, str] | None = None, **options: object
) -> Iterator[RunningHost]:
    """Run a host for the length of a block; kill it at the end if it still runs."""
    host = start(app, folder, settings, **options)
    try:
        assert host.url is not None, host.log
        yield host
    finally:
        if host.process.poll() is None:
            host.process.kill()
            host.process.wait()
