"""Output that is closed, full, narrow or without UTF-8 ends no command with a traceback."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fleet.command_line import run_safely
from fleet.exit_codes import ExitCode
from tests.fleet.conftest import KEY, Cloud
from tests.fleet.terminal import serve

PROGRAM = 'fleet() { "$PYTHON" -m fleet "$@"; };'


def run(command: str, api: str, **environment: str) -> tuple[int, str]:
    """Run a line of the shell that has the command fleet; return its code and errors."""
    variables = {**os.environ, "PYTHON": sys.executable, "FLEET_API": api, **environment}
    line = f"{PROGRAM} {command}"
    done = subprocess.run(
        ["bash", "-c", line], env=variables, capture_output=True, check=False, timeout=60
    )
    return done.returncode, done.stderr.decode()


def test_a_reader_that_closes_early_and_a_closed_output_are_no_failures(cloud: Cloud) -> None:
    rollout_id = cloud.create()
    with serve(cloud) as api:
        early = f"fleet show {rollout_id} | true; exit ${{PIPESTATUS[0]}}"
        assert run(early, api, FLEET_KEY=KEY) == (0, "")
        assert run(f"fleet show {rollout_id} >&-", api, FLEET_KEY=KEY) == (0, "")


def test_a_full_disk_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    assert run_safely(lambda: ExitCode.DONE) == ExitCode.REFUSED
    sys.stdout.close()
    assert "No space left on device" in capsys.readouterr().err


def test_an_output_without_utf_8_shows_the_tree_all_the_same(cloud: Cloud) -> None:
    rollout_id = cloud.create()
    with serve(cloud) as api:
        command = f"fleet show {rollout_id} | grep -q '0/6 running'"
        assert run(command, api, FLEET_KEY=KEY, PYTHONIOENCODING="ascii") == (0, "")


def test_a_terminal_of_no_width_shows_the_rollout(cloud: Cloud) -> None:
    assert "0/6 running" in cloud.run("show", cloud.create(), COLUMNS="0").stdout


def test_an_export_replaces_no_device_or_pipe(cloud: Cloud, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert cloud.run("export", cloud.create(), "--output", str(pipe)).exit_code == 0
        assert os.read(reader, 10).startswith(b"{")
    finally:
        os.close(reader)
    assert pipe.is_fifo()


@pytest.mark.parametrize("text", ['{"default": {"api": 5}}', '{"default": null}', "[]", ""])
def test_a_file_of_profiles_that_is_not_valid_is_refused(
    cloud: Cloud, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "fleet" / "profiles.json"
    file.parent.mkdir()
    file.write_text(text)
    file.chmod(0o600)
    result = cloud.run("list", FLEET_API="")
    assert (result.exit_code, "is not valid" in result.stderr) == (2, True)
