"""What `func azure functionapp publish` uploads: the app, and nothing else."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from pathspec import GitIgnoreSpec

from simulator.paths import REPOSITORY

_APP = ["function_app.py", "functions", "host.json", "requirements.txt"]
# Core Tools leave these out by themselves.
_NEVER_UPLOADED = {".funcignore", ".gitignore"}


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="git lists the files")
def test_only_the_app_is_uploaded() -> None:
    ignored = GitIgnoreSpec.from_lines((REPOSITORY / ".funcignore").read_text().splitlines())
    uploaded = [name for name in _tracked_files() if not ignored.match_file(name)]
    assert {name.split("/")[0] for name in uploaded} - _NEVER_UPLOADED == set(_APP)


def test_every_import_of_the_app_is_in_its_requirements() -> None:
    text = (REPOSITORY / "requirements.txt").read_text()
    pinned = {_normalized(name) for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}
    distributions = packages_distributions()
    for module in _imports_of_app():
        owners = {_normalized(name) for name in distributions[module.split(".")[0]]}
        assert owners & pinned, module


def _tracked_files() -> list[str]:
    """Return the files of the repository, without what a developer keeps beside them."""
    command = ["git", "-c", "safe.directory=*", "ls-files"]
    found = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return found.stdout.splitlines()


def _imports_of_app() -> Iterator[str]:
    for path in [REPOSITORY / "function_app.py", *(REPOSITORY / "functions").rglob("*.py")]:
        for module in _imports(path):
            if module.split(".")[0] not in {*sys.stdlib_module_names, "functions"}:
                yield module


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
