"""Run commands of `fleet` as a person types them, and print them with their output."""

import os
import shlex
import subprocess
import sys
from collections.abc import Collection

from rich.console import Console

from simulator.cloud.errors import CloudError
from simulator.paths import REPOSITORY

_INDENT = "   "


class FleetCommands:
    """The command line, connected to one API."""

    def __init__(self, api_url: str, console: Console) -> None:
        self._variables = os.environ | {"FLEET_API": api_url, "FLEET_KEY": "", "FLEET_PROFILE": ""}
        self._console = console

    def run(self, *arguments: str, expected: Collection[int] = (0,)) -> list[str]:
        """Run a command; return its lines. Raises CloudError unless its code is `expected`."""
        self._print(f"\n{_INDENT}$ fleet {shlex.join(arguments)}")
        command = [sys.executable, "-m", "fleet", *arguments]
        with subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=self._variables,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            lines = []
            for line in process.stdout or ():
                lines.append(line.rstrip())
                self._print(_INDENT + line.rstrip())
        if process.returncode not in expected:
            raise CloudError(f"fleet {arguments[0]} ended with {process.returncode}")
        return lines

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)
