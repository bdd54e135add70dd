"""Test the commands keygen, sign and verify: files, output and exit codes."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from signed_firmware.envelope import MAX_ENVELOPE_CHARACTERS
from simulator.__main__ import app
from simulator.commands.signing import parse_expiry
from simulator.paths import REPOSITORY

RUNNER = CliRunner(env={"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"})
RELEASE = (
    "--key release-key.pem --version 2.4.0 --model thermostat-x1 --model thermostat-x2 "
    "--sequence 42 --expires P90D"
)
KEYS = "--keys release-key.jwks.json"


@pytest.fixture(autouse=True)
def publishers_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with a key and a package, for every test here."""
    monkeypatch.chdir(tmp_path)
    Path("fw.bin").write_bytes(b"firmware")
    assert _run("keygen release-key").exit_code == 0
    return tmp_path


def test_keygen_writes_two_files_and_prints_only_the_kid() -> None:
    ended = _run("keygen another")
    [jwk] = json.loads(Path("another.jwks.json").read_text())["keys"]
    assert ended.output == f"{jwk['kid']}\n"
    assert Path("another.pem").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("there", ["another.pem", "another.jwks.json"])
def test_keygen_overwrites_no_file_and_leaves_no_half_of_a_key(there: str) -> None:
    Path(there).write_text("another user's")
    _assert_wrong_usage(_run("keygen another"), there)
    assert Path(there).read_text() == "another user's"
    assert len(list(Path().glob("another.*"))) == 1


def test_a_signed_manifest_is_verified() -> None:
    _sign("--minimum-version 2.0.0 --allow-downgrade")
    checked = "--package fw.bin --model thermostat-x2 --running-version 2.0.0"
    ended = _run(f"verify fw.jws {KEYS} {checked} --highest-sequence 50")
    assert ended.exit_code == 0, ended.output
    said = json.loads(ended.stdout)
    assert said.pop("expiresAt") > f"{datetime.now(UTC) + timedelta(days=89):%Y-%m-%d}"
    assert said == {
        "version": "2.4.0",
        "sha256": "c3bf47ea1f4a4a605470313cacb3a44f4a461f68c6faeab07e737610cb5ac835",
        "sizeBytes": 8,
        "models": ["thermostat-x1", "thermostat-x2"],
        "sequence": 42,
        "minimumVersion": "2.0.0",
        "allowDowngrade": True,
    }


def test_a_manifest_is_the_same_printed_or_written() -> None:
    until = RELEASE.replace("P90D", "2100-01-01T00:00:00Z")
    printed = _run(f"sign fw.bin {until}").stdout
    assert _run(f"sign fw.bin {until} --out fw.jws").stdout == ""
    assert Path("fw.jws").read_text() == printed
    assert _run(f"verify - {KEYS}", typed=printed).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("--model toaster", "wrongModel"),
        ("--running-version 1.9.0", "versionTooOld"),
        ("--highest-sequence 43", "downgrade"),
        ("--package release-key.jwks.json", "manifestMismatch"),
    ],
)
def test_a_refusal_is_printed_with_its_code(arguments: str, code: str) -> None:
    _sign("--minimum-version 2.0.0")
    _assert_refused(_run(f"verify fw.jws {KEYS} {arguments}"), code)


def test_a_manifest_of_another_key_is_refused() -> None:
    _run("keygen another")
    _sign()
    _assert_refused(_run("verify fw.jws --keys another.jwks.json"), "keyUnknown")


@pytest.mark.parametrize(
    "content", [b"", b"\xff\x00", b"x" * (MAX_ENVELOPE_CHARACTERS + 9)], ids=len
)
def test_a_file_without_a_manifest_is_refused(content: bytes) -> None:
    Path("rubbish").write_bytes(content)
    _assert_refused(_run(f"verify rubbish {KEYS}"), "manifestInvalid")


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (f"verify nowhere {KEYS}", "nowhere"),
        ("verify fw.bin --keys nowhere", "nowhere"),
        ("verify fw.bin --keys fw.bin", "key set cannot be read"),
        ("verify fw.bin", "--keys"),
        (f"sign nowhere {RELEASE}", "nowhere"),
        (f"sign fw.bin {RELEASE} --key fw.bin", "fw.bin is not a private key"),
        (f"sign fw.bin {RELEASE} --expires tomorrow", "must be a duration"),
        (f"sign fw.bin {RELEASE} --expires 2020-01-01T00:00:00Z", "in the future"),
        (f"sign fw.bin {RELEASE} --minimum-version two", "minimumVersion must be"),
        (f"sign fw.bin {RELEASE} --sequence 0", "--sequence"),
        (f"sign fw.bin {RELEASE} --out nowhere/fw.jws", "nowhere"),
        ("keygen nowhere/key", "nowhere"),
    ],
)
def test_wrong_usage_prints_one_line_and_exits_with_2(command: str, complaint: str) -> None:
    _assert_wrong_usage(_run(command), complaint)


def test_an_empty_package_is_not_signed() -> None:
    Path("empty.bin").touch()
    _assert_wrong_usage(_run(f"sign empty.bin {RELEASE}"), "sizeBytes must be")


@pytest.mark.parametrize("text", ["", "P", "P0D", "PT0.1S", "P9999Y", "90D", "-P1D", "2027-01-01"])
def test_an_invalid_expiry_raises_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_expiry(text, datetime(2026, 11, 24, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P90D", datetime(2027, 2, 22, 12, 0, 7, tzinfo=UTC)),
        ("P1Y", datetime(2027, 11, 24, 12, 0, 7, tzinfo=UTC)),
        ("PT1H", datetime(2026, 11, 24, 13, 0, 7, tzinfo=UTC)),
        ("2027-01-01T00:00:00Z", datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_an_expiry_is_in_whole_seconds(text: str, expected: datetime) -> None:
    assert parse_expiry(text, datetime(2026, 11, 24, 12, 0, 7, 999, tzinfo=UTC)) == expected


def test_a_process_of_its_own_refuses_without_a_traceback(publishers_folder: Path) -> None:
    _sign()
    manifest = (publishers_folder / "fw.jws").read_text()
    ended = subprocess.run(
        [sys.executable, "-m", "simulator", "verify", "-", "--keys", "release-key.jwks.json"],
        input=manifest.replace("\n", "A"),
        capture_output=True,
        text=True,
        check=False,
        cwd=publishers_folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("refused: signatureInvalid: ")
    assert ended.stderr.count("\n") == 1


def _run(arguments: str, typed: str | None = None) -> Result:
    ended = RUNNER.invoke(app, arguments.split(), input=typed)
    assert ended.exception is None or isinstance(ended.exception, SystemExit)
    assert "PRIVATE KEY" not in ended.output
    return ended


def _sign(more: str = "") -> None:
    ended = _run(f"sign fw.bin {RELEASE} {more} --out fw.jws")
    assert ended.exit_code == 0, ended.output


def _assert_refused(ended: Result, code: str) -> None:
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"refused: {code}: ")


def _assert_wrong_usage(ended: Result, complaint: str) -> None:
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert complaint in ended.stderr
