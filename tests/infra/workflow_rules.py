"""Check workflows, actions and pipelines with linters, without a network.

zizmor and actionlint know GitHub's files; check-jsonschema brings the schemas of all kinds.
"""

import enum
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from check_jsonschema.transforms.azure_pipelines import traverse_data
from jsonschema.exceptions import best_match

REPOSITORY = Path(__file__).resolve().parents[2]
MAX_SHOWN_CHARACTERS = 500
_PROGRAMS = Path(sys.executable).parent


class Kind(enum.StrEnum):
    """What a YAML file is; the value is the name of its schema."""

    WORKFLOW = "github-workflows"
    ACTION = "github-actions"
    AZURE_PIPELINE = "azure-pipelines"


def find_files(folder: Path) -> list[Path]:
    """Return every workflow, action and pipeline of the repository in `folder`."""
    found = [
        path
        for area in (".github", "pipelines")
        for pattern in ("*.yml", "*.yaml")
        for path in (folder / area).rglob(pattern)
    ]
    return sorted([*found, *folder.glob("action.y*ml")])


def kind_of(path: Path) -> Kind:
    """Return what a file is, by its first level of names."""
    names = _read(path).keys()
    if "runs" in names:
        return Kind.ACTION
    return Kind.WORKFLOW if "on" in names else Kind.AZURE_PIPELINE


def find_problems(paths: Sequence[Path]) -> list[str]:
    """Return what the schemas and linters say against the files."""
    by_kind = {kind: [path for path in paths if kind_of(path) is kind] for kind in Kind}
    workflows, actions = by_kind[Kind.WORKFLOW], by_kind[Kind.ACTION]
    problems = [text for path in paths for text in _schema_problems(path)]
    if workflows:
        problems += _run("actionlint", "-oneline", "-shellcheck=", "-pyflakes=", files=workflows)
    if workflows or actions:
        options = ("--offline", "--no-config", "--quiet", "--format=plain", "--color=never")
        problems += _run("zizmor", *options, files=[*workflows, *actions])
    return problems


def _schema_problems(path: Path) -> Iterator[str]:
    """Yield where a file differs most from its schema."""
    kind = kind_of(path)
    content: Any = traverse_data(_read(path))  # without template expressions
    if kind is not Kind.AZURE_PIPELINE:  # its schema knows texts only, as BaseLoader does
        content = yaml.safe_load(path.read_text())
        if True in content:  # YAML 1.1 reads `on` as a boolean
            content["on"] = content.pop(True)
    error = best_match(_validator(kind).iter_errors(content))
    if error is not None:
        yield f"{path.name}: {error.json_path}: {error.message[:MAX_SHOWN_CHARACTERS]}"


@cache
def _validator(kind: Kind) -> Any:
    vendor = files("check_jsonschema") / "builtin_schemas" / "vendor"
    return jsonschema.Draft7Validator(json.loads((vendor / f"{kind}.json").read_text()))


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.load(path.read_text(), Loader=yaml.BaseLoader)  # noqa: S506
    return content


def _run(program: str, *options: str, files: Sequence[Path]) -> list[str]:
    """Return the output of a linter that found something; nothing otherwise."""
    command = [str(_PROGRAMS / program), *options, *map(str, files)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    return [] if done.returncode == 0 else [done.stdout + done.stderr]
