"""The files for GitHub Actions and Azure Pipelines: valid, secure by zizmor, and complete."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.pipeline.inputs import PREFIX
from fleet.rollout_options import RolloutOptions
from simulator.paths import REPOSITORY
from tests.pipelines.azure_template import TEMPLATE, expand
from tests.pipelines.runner import ACTION
from tests.pipelines.write_files import complete_action, complete_template

PROGRAMS = Path(sys.executable).parent
FOLDER = REPOSITORY / "pipelines"
INPUTS = {item.name for item in fields(RolloutOptions)} | set(
    re.findall(
        r'inputs\.(?:text|flag)\("(\w+)"', (REPOSITORY / "fleet/pipeline/run.py").read_text()
    )
)
OF_GITHUB = {"GITHUB_TOKEN"}


def run(program: str, *arguments: str | Path) -> str:
    done = subprocess.run(
        [PROGRAMS / program, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ("github-actions", "action.yml"),
        ("github-workflows", "github-actions.yml"),
        ("azure-pipelines", "azure-pipelines.yml"),
    ],
)
def test_each_file_fits_its_schema(schema: str, name: str) -> None:
    assert _fits(schema, FOLDER / name) == ""


@pytest.mark.parametrize("connection", ["", "azure"])
def test_the_expanded_template_fits_the_schema(connection: str, tmp_path: Path) -> None:
    steps = expand({"api": "https://a.example/api", "serviceConnection": connection})
    assert [step.get("task") for step in steps][2:] == ["AzureCLI@2" if connection else None]
    expanded = tmp_path / "pipeline.yml"
    expanded.write_text(yaml.safe_dump({"steps": steps}))
    assert _fits("azure-pipelines", expanded) == ""


def test_actionlint_and_zizmor_find_nothing() -> None:
    assert run("actionlint", "-shellcheck=", "-pyflakes=", FOLDER / "github-actions.yml") == ""
    found = ("--offline", "--no-progress", "--persona=pedantic")
    assert run("zizmor", *found, ACTION, FOLDER / "github-actions.yml") == ""


def test_the_action_passes_every_input_of_the_command() -> None:
    action = yaml.safe_load(ACTION.read_text())
    (install, last) = action["runs"]["steps"]
    passed = _inputs(last)
    assert passed == {name.upper() for name in INPUTS} | {"STEPS"} | OF_GITHUB
    text = str(install["env"]) + str(last["env"])
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == action["inputs"].keys()


@pytest.mark.parametrize("connection", ["", "azure"])
def test_the_template_passes_every_input_of_the_command(connection: str) -> None:
    names = [item["name"] for item in yaml.safe_load(TEMPLATE.read_text())["parameters"]]
    given = {name: f"given-{name}" for name in names} | {"serviceConnection": connection}
    *_, last = expand(given)
    assert _inputs(last) == {name.upper() for name in INPUTS} | {"STEPS"}
    shown = str(last["env"])
    assert [
        name
        for name in names
        if f"given-{name}" not in shown and name not in {"folder", "serviceConnection"}
    ] == []


def test_the_options_of_a_rollout_are_those_of_the_command() -> None:
    assert complete_action(ACTION.read_text()) == ACTION.read_text()
    assert complete_template(TEMPLATE.read_text()) == TEMPLATE.read_text()


@pytest.mark.parametrize("scope", ["", "api://fleet/.default"])
def test_entra_id_is_installed_where_it_is_used(scope: str) -> None:
    install = expand({"api": "https://a.example/api", "scope": scope})[1]
    assert install["env"]["EXTRA"] == ("[entra]" if scope else "")


def test_no_text_of_a_parameter_becomes_a_command() -> None:
    for step in expand({"api": "$(echo bad)", "version": "$(echo bad)", "folder": "$(echo bad)"}):
        script = step.get("bash") or step.get("inputs", {}).get("inlineScript", "")
        assert "bad" not in script


def _fits(schema: str, path: Path) -> str:
    return run(
        "check-jsonschema", "--regex-variant=python", f"--builtin-schema=vendor.{schema}", path
    )


def _inputs(step: Any) -> set[str]:
    return {name.removeprefix(PREFIX) for name in step["env"] if name.startswith(PREFIX)}
