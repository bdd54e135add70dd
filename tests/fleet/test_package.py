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


def test_help_imports_nothing_that_is_slow() -> None:
    code = (
        "import sys, json, fleet.app;"
        "print(json.dumps([n for n in ('httpx', 'rich.console', 'azure') if n in sys.modules]))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, check=True, timeout=60
    ).stdout
    assert json.loads(printed) == []
