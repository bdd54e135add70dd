"""A package that does not stay healthy is replaced by the earlier one."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.deploy import App, Outcome, Patience, deploy, main, upload_with_cli
from infra.earlier_package import find_run
from tests.infra.app_server import CLOSED, KEY, OTHER, PAGE, DeployedApp, Statuses, serving
from tests.infra.workflow_rules import REPOSITORY

DEPLOY = REPOSITORY / ".github/workflows/deploy.yml"
NEW, EARLIER = Path("new.zip"), Path("earlier.zip")
IMPATIENT = Patience(checks=3, interval_seconds=0.01, within_seconds=0.3)
HEALTHY: Statuses = (200,)


def _deploy(deployed: DeployedApp, earlier: Path | None = EARLIER) -> Outcome:
    with serving(deployed):
        app = App(deployed.url, KEY, deployed.upload, IMPATIENT)
        return deploy(app, NEW, earlier)


def _deployed(
    new: Statuses, earlier: Statuses = HEALTHY, before: Statuses = HEALTHY
) -> DeployedApp:
    return DeployedApp({"none": before, "new": new, "earlier": earlier})


@pytest.mark.parametrize(
    "new",
    [(200,), (503, 503, 200), (CLOSED, 200), (404, 200), (200, 200, 503, 200)],
    ids=["at once", "after a cold start", "after a restart", "once it is routed", "after a hiccup"],
)
def test_a_package_that_becomes_healthy_stays(new: Statuses) -> None:
    deployed = _deployed(new)
    assert _deploy(deployed) is Outcome.DEPLOYED
    assert deployed.uploads == ["new"]
    assert deployed.keys == {KEY}


@pytest.mark.parametrize(
    "new",
    [(503,), (500,), (404,), (401,), (CLOSED,), (PAGE,), (OTHER,), (302,), (200, 200, 503)],
    ids=[
        *("not ready", "crashes", "has no routes", "refuses its key", "is silent"),
        *("is a sign-in page", "is another program", "redirects", "fails later"),
    ],
)
def test_the_earlier_package_comes_back(new: Statuses, capsys: pytest.CaptureFixture[str]) -> None:
    deployed = _deployed(new)
    assert _deploy(deployed) is Outcome.PUT_BACK
    assert deployed.uploads == ["new", "earlier"]
    assert "/health/ready" in capsys.readouterr().out
    assert deployed.keys == {KEY}  # sent to no other address


def test_health_that_comes_and_goes_is_not_enough() -> None:
    deployed = _deployed((200, 200, 503) * 100)
    assert _deploy(deployed) is Outcome.PUT_BACK


def test_a_package_that_azure_refuses_is_replaced_by_the_earlier_one() -> None:
    deployed = _deployed(HEALTHY)
    deployed.refused = frozenset({"new"})
    assert _deploy(deployed) is Outcome.PUT_BACK


@pytest.mark.parametrize("refused", [frozenset[str](), frozenset({"earlier"})])
def test_an_app_that_no_package_makes_healthy_is_reported(
    refused: frozenset[str], capsys: pytest.CaptureFixture[str]
) -> None:
    deployed = _deployed((503,), earlier=(503,), before=(503,))
    deployed.refused = refused
    assert _deploy(deployed) is Outcome.UNHEALTHY
    shown = capsys.readouterr().out
    assert "was unhealthy before this deployment, too: /health/ready responds 503." in shown
    assert "docs/runbook.md" in shown
    assert KEY not in shown


def test_a_first_deployment_has_nothing_to_put_back() -> None:
    deployed = _deployed((503,))
    assert _deploy(deployed, earlier=None) is Outcome.UNHEALTHY
    assert deployed.uploads == ["new"]


@pytest.mark.parametrize(
    ("status", "outcome", "deployed"),
    [(200, Outcome.DEPLOYED, ["new"]), (503, Outcome.UNHEALTHY, ["new", "earlier"])],
)
def test_the_command_deploys_with_the_azure_cli(
    tmp_path: Path, status: int, outcome: Outcome, deployed: list[str]
) -> None:
    """Run as the workflow runs it; a stand-in for az writes down what it was called with."""
    log, az = tmp_path / "calls", tmp_path / "az"
    az.write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    az.chmod(0o755)
    for name in ("new.zip", "earlier.zip"):
        (tmp_path / name).touch()
    with serving(_deployed((status,), before=(status,))) as app:
        command = [
            *(sys.executable, "-m", "infra.deploy", f"{tmp_path}/new.zip"),
            *("--earlier", f"{tmp_path}/earlier.zip", "--resource-group", "rg", "--app", "func"),
            *("--url", app.url, "--interval-seconds", "0.01", "--within-seconds", "0.5"),
        ]
        variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "FLEET_KEY": KEY}
        done = subprocess.run(
            command, check=False, cwd=REPOSITORY, env=variables, capture_output=True, text=True
        )
    where = "--resource-group rg --name func"
    assert done.returncode == outcome
    assert log.read_text().splitlines() == [
        f"functionapp deployment source config-zip --build-remote false {where}"
        f" --src {tmp_path}/{name}.zip"
        for name in deployed
    ]
    assert KEY not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("az", "said"),
    [(None, "No such file"), ("exit 1", "exit status 1"), ("kill -9 $$", "SIGKILL")],
    ids=["is missing", "fails", "is killed"],
)
def test_an_azure_cli_that_fails_is_reported(
    tmp_path: Path,
    az: str | None,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if az:
        (tmp_path / "az").write_text(f"#!/bin/sh\n{az}\n")
        (tmp_path / "az").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert upload_with_cli("rg", "func")(NEW) is False
    assert said in capsys.readouterr().out


def test_an_azure_cli_that_waits_for_the_app_is_not_said_to_have_deployed_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "az").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "az").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("infra.deploy.UPLOAD_SECONDS", 0.2)
    assert upload_with_cli("rg", "func")(NEW) is False
    said = capsys.readouterr().out
    assert "may be deployed" in said
    assert "not deployed" not in said


# What az prints of an app on Flex Consumption, the resource as it is, and of others; and the keys.
HOST = {"defaultHostName": "func.azurewebsites.example"}
SHOWN = [{"name": "func", "properties": HOST}, {"name": "func", "properties": None, **HOST}]
KEYS = {"functionKeys": {"default": KEY}}
AZ = f"""
import functools, os, sys
found = {{"show": {SHOWN}[int(os.environ["FORM"])], "keys": {KEYS}}}[sys.argv[2]]
read = lambda path: functools.reduce(lambda part, name: (part or {{}}).get(name), path, found)
paths = sys.argv[sys.argv.index("--query") + 1].split(" || ")
print(next(filter(None, (read(path.split(".")) for path in paths)), ""))
"""


@pytest.mark.parametrize("form", [0, 1], ids=["resource", "copy"])
def test_the_workflow_finds_the_host_and_the_key_of_an_app(tmp_path: Path, form: int) -> None:
    steps = yaml.safe_load(DEPLOY.read_text())["jobs"]["deploy"]["steps"]
    (script,) = (step["run"] for step in steps if step.get("name") == "Deploy")
    (tmp_path / "az.py").write_text(AZ)
    az = f'exec "{sys.executable}" "{tmp_path}/az.py" "$@"'
    stand_ins = {"az": f"#!/bin/sh\n{az}\n", "python": '#!/bin/sh\necho "$FLEET_KEY" "$@"\n'}
    for name, text in stand_ins.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    variables = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "GROUP": "rg",
        "APP": "func",
        "FORM": str(form),
    }
    done = subprocess.run(
        ["bash", "-e", "-c", script], check=True, env=variables, capture_output=True, text=True
    )
    deployed = done.stdout.splitlines()[-1]
    assert deployed.startswith(f"{KEY} -m infra.deploy new/app.zip ")
    assert deployed.endswith(" --url https://func.azurewebsites.example/api")


@pytest.mark.parametrize(
    ("key", "package", "url", "said"),
    [
        ("", "exists.zip", "http://127.0.0.1:9/api", "FLEET_KEY"),
        (KEY, "missing.zip", "http://127.0.0.1:9/api", "does not exist"),
        (KEY, "exists.zip", "https:///api", "--url"),  # the name of the host was empty
    ],
    ids=["key", "package", "host"],
)
def test_nothing_is_deployed_without_a_key_a_package_or_a_host(
    tmp_path: Path,
    key: str,
    package: str,
    url: str,
    said: str,
    *,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "exists.zip").touch()
    monkeypatch.setenv("FLEET_KEY", key)
    options = ["--resource-group", "rg", "--app", "func", "--url", url]
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / package), *options])
    assert ended.value.code not in {Outcome.DEPLOYED, Outcome.PUT_BACK}
    assert said in capsys.readouterr().err


def _artifact(run: int, *, created: str = "2026-11-27T08:00:00Z", **changes: Any) -> dict[str, Any]:
    workflow_run = {"id": run, "repository_id": 1, "head_repository_id": 1} | changes
    return {
        "created_at": created,
        "expired": workflow_run.pop("expired", False),
        "workflow_run": workflow_run,
    }


@pytest.mark.parametrize(
    ("artifacts", "run"),
    [
        ([], None),
        ([_artifact(1), _artifact(2, created="2026-11-28T08:00:00Z")], 2),
        ([_artifact(1), _artifact(2, created="2026-11-28T08:00:00Z", expired=True)], 1),
        ([_artifact(1), _artifact(2, created="2026-11-28T08:00:00Z", head_repository_id=9)], 1),
        ([_artifact(1, head_repository_id=9)], None),
        ([_artifact(1, head_repository_id=None)], None),
    ],
    ids=["none", "newest", "not expired", "not of a fork", "fork alone", "deleted fork"],
)
def test_the_newest_package_of_this_repository_is_put_back(
    artifacts: list[dict[str, Any]], run: int | None
) -> None:
    assert find_run({"artifacts": artifacts}) == run
