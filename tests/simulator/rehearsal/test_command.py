"""`python -m simulator rehearse`: the input it rejects, its output and its exit codes."""

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
def test_a_share_of_the_quotas_below_1_percent_is_rejected(file: Path, share: str) -> None:
    ended = rehearsed(file, "--share", share)

    assert ended.exit_code == 2
    assert ended.stderr == f"error: --share must be from 1% to 100%, not {share}\n"


# -- the chart


def test_a_chart_is_written_beside_the_report(file: Path, tmp_path: Path) -> None:
    ended = rehearsed(file, "--chart", str(tmp_path / "chart.svg"))

    assert ended.exit_code == 0
    assert "20 of 20 devices completed." in ended.stdout
    assert "</svg>" in (tmp_path / "chart.svg").read_text()


@pytest.mark.usefixtures("never_run")
@pytest.mark.parametrize("path", ["missing/chart.svg", "rollout.json/chart.svg", "."])
def test_a_chart_that_cannot_be_written_is_rejected_before_the_run(
    file: Path, tmp_path: Path, path: str
) -> None:
    ended = rehearsed(file, "--chart", str(tmp_path / path))

    assert ended.exit_code == 2
    assert "--chart" in ended.stderr


def test_a_chart_that_fails_after_the_run_exits_with_2(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device", "chart.svg")

    monkeypatch.setattr(Path, "write_text", full)
    ended = rehearsed(file, "--chart", str(tmp_path / "chart.svg"))

    assert ended.exit_code == 2
    assert "20 of 20 devices completed." in ended.stdout
    assert ended.stderr == (
        "error: the chart could not be written: [Errno 28] No space left on device: 'chart.svg'\n"
    )


# -- wrong input, and errors of the rehearsal itself


def test_an_invalid_rollout_is_reported_field_by_field(file: Path) -> None:
    file.write_text('{"firmware": {"version": "2.4.0"}}')
    ended = rehearsed(file)

    assert ended.exit_code == 2
    assert "error: 1 field is invalid.\n  /firmware/packageUri: " in ended.stderr


def test_an_error_in_the_rehearsal_itself_is_not_reported_as_wrong_usage(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*_: object, **__: object) -> str:
        raise ValueError("ours")

    monkeypatch.setattr(command, "run", mistaken)

    assert isinstance(rehearsed(file).exception, ValueError)
