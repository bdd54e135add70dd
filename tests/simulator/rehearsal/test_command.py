"""`python -m simulator rehearse` on the command line: what it refuses, and how it ends."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from simulator.__main__ import app
from simulator.rehearsal import command

RUNNER = CliRunner(env={"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"})
ROLLOUT = """
{"firmware": {"version": "2.4.0", "packageUri": "https://packages.example/fw-2.4.0.bin"}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rollout.json"
    path.write_text(ROLLOUT)
    return path


def rehearsed(file: Path, *arguments: str) -> Result:
    return RUNNER.invoke(app, ["rehearse", str(file), "--devices", "20", *arguments])


@pytest.fixture
def never_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> str:
        raise AssertionError("the rehearsal was begun")

    monkeypatch.setattr(command, "run", run)


@pytest.mark.usefixtures("never_run")
@pytest.mark.parametrize("share", ["0%", "0.99%"])
def test_a_share_of_the_quotas_that_starts_nothing_is_refused(file: Path, share: str) -> None:
    ended = rehearsed(file, "--share", share)

    assert ended.exit_code == 2
    assert ended.stderr == f"error: --share must be from 1% to 100%, not {share}\n"
