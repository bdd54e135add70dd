"""Check that the command runs on Python 3.11, and imports little when it starts."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.paths import REPOSITORY

FILES = sorted((REPOSITORY / "fleet").rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_file_is_python_3_11(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 11))


def test_the_help_of_each_command_imports_nothing_that_is_slow() -> None:
    code = (
        "import contextlib, io, json, sys\n"
        "from fleet.app import COMMANDS, app\n"
        "for name in COMMANDS:\n"
        "    out = io.StringIO()\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(out):\n"
        "        app([name, '--help'])\n"
        "    assert '--json' in out.getvalue(), out.getvalue()\n"
        "slow = ('httpx', 'pydantic', 'rich.console', 'azure', 'asyncio')\n"
        "print(json.dumps([name for name in slow if name in sys.modules]))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, check=True, timeout=60
    ).stdout
    assert json.loads(printed) == []
