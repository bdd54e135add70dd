"""Runs `up` and `demo` as processes, on addresses of their own."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from simulator.azurite import EXECUTABLE
from simulator.hub.loopback import free_address
from simulator.paths import REPOSITORY

type Start = Callable[..., subprocess.Popen[str]]

GRACE_SECONDS = 30


@pytest.fixture
def address() -> str:
    if not EXECUTABLE.exists():
        pytest.skip("Azurite is not installed: run `make setup`")
    return free_address()


@pytest.fixture
def start(address: str, tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a command; the command is stopped after the test."""
    with ExitStack() as stack:

        def start(*arguments: str, **options: str) -> subprocess.Popen[str]:
            address_option = ("--address", options.get("address", address))
            folder = ("--local-directory", str(tmp_path))
            return stack.enter_context(_run((*arguments, *address_option, *folder)))

        yield start


@contextmanager
def _run(arguments: tuple[str, ...]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", *arguments],
        cwd=REPOSITORY,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
