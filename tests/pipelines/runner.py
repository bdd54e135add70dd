"""Run the steps of the action as GitHub does: environment files, and commands in the log."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from simulator.paths import REPOSITORY

ACTION = REPOSITORY / "pipelines/action.yml"
SECONDS = 60
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")
# A command python3 that makes a "virtual environment" whose pip installs a command that
# runs this repository's fleet. The real pip would fetch its packages again for each test.
_PYTHON = """#!/bin/sh
case "$*" in
"-m venv "*) mkdir -p "$3/bin" && ln -sf "$0" "$3/bin/python" ;;
"-m pip install "*)
    for last; do :; done
    test -f "${{last%%\\[*}}/pyproject.toml" || exit 1
    printf '#!/bin/sh\\nexec "{python}" -m fleet "$@"\\n' > "${{0%/*}}/fleet"
    chmod +x "${{0%/*}}/fleet" ;;
*) exit 1 ;;
esac
"""


@dataclass
class Ran:
    """What a run of the action leaves."""

    code: int
    log: str
    summary: str
    outputs: dict[str, str]
    annotations: list[str] = field(init=False)
    """Those that the runner shows."""

    def __post_init__(self) -> None:
        commands = re.findall(r"^\s*::(\w+)(?: [^:]*)?::", self.log, re.MULTILINE)
        assert set(commands) <= {"group", "endgroup", "error", "warning", "notice"}
        assert "##[" not in self.log
        self.annotations = re.findall(r"^::(?:error|warning) .*$", self.log, re.MULTILINE)


class Runner:
    """A machine of GitHub, with a folder of its own."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.variables = {
            "PATH": f"{folder}/commands:{os.environ['PATH']}",
            "HOME": str(folder),
            "PYTHONPATH": str(REPOSITORY),
            "GITHUB_ACTIONS": "true",
            "CI": "true",
            "GITHUB_REPOSITORY_ID": "7",
            "GITHUB_RUN_ID": "1234",
            "GITHUB_JOB": "rollout",
            **variables,
        }
        (folder / "commands").mkdir(parents=True)
        python = folder / "commands/python3"
        python.write_text(_PYTHON.format(python=sys.executable))
        python.chmod(0o755)

    def run(self, **inputs: str) -> Ran:
        """Run all steps until one fails. Inputs have names with `_` instead of `-`."""
        return self.end(self.begin(**inputs))

    def begin(self, **inputs: str) -> "subprocess.Popen[str]":
        """Begin the last step."""
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        action = yaml.safe_load(ACTION.read_text())
        assert given.keys() <= action["inputs"].keys()
        values = {
            name: given.get(name, known.get("default", ""))
            for name, known in action["inputs"].items()
        }
        *first, last = action["runs"]["steps"]
        for step in first:
            done = self._start(step, values)
            printed, _ = done.communicate(timeout=SECONDS)
            assert done.returncode == 0, printed
        return self._start(last, values)

    def end(self, process: "subprocess.Popen[str]") -> Ran:
        printed, _ = process.communicate(timeout=SECONDS)
        outputs = re.findall(r"^(.+)<<(\w+)\n(.*)\n\2$", self._read("output"), re.MULTILINE)
        known = yaml.safe_load(ACTION.read_text())["outputs"]
        assert {name for name, _, _ in outputs} <= known.keys()
        return Ran(
            process.returncode,
            printed,
            self._read("summary"),
            {name: value for name, _, value in outputs},
        )

    def write_event(self, event: Any) -> None:
        path = self.folder / "event.json"
        path.write_text(json.dumps(event))
        self.variables["GITHUB_EVENT_PATH"] = str(path)

    def _start(self, step: Any, inputs: Mapping[str, str]) -> "subprocess.Popen[str]":
        for name in ("output", "summary", "env"):
            (self.folder / name).write_text("")
        own = {name: _evaluate(str(text), inputs) for name, text in step.get("env", {}).items()}
        files = {
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "GITHUB_ENV": str(self.folder / "env"),
            "GITHUB_ACTION_PATH": str(ACTION.parent),
            "RUNNER_TEMP": str(self.folder / "temp dir"),
        }
        assert step["shell"] == "bash"
        assert not _EXPRESSION.search(step["run"]), "text of an input would become a command"
        return subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.folder,
            env={**self.variables, **files, **own},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def _read(self, name: str) -> str:
        return (self.folder / name).read_text()


def _evaluate(text: str, inputs: Mapping[str, str]) -> str:
    """Evaluate the few kinds of expressions that the action has."""

    def value(found: re.Match[str]) -> str:
        expression = found[1].strip().replace("&&", " and ").replace("||", " or ")
        if expression == "github.token":
            return "github-token"
        named = re.sub(r"inputs\.([\w-]+)", lambda name: repr(inputs[name[1]]), expression)
        return str(eval(named, {"__builtins__": {}}))  # noqa: S307 - this repository's own text

    evaluated = _EXPRESSION.sub(value, text)
    return _evaluate(evaluated, inputs) if evaluated == "${{ github.token }}" else evaluated
