"""Test that docs/signed-firmware.md matches the code, and run its commands."""

import json
import os
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from signed_firmware.envelope import MAX_ENVELOPE_CHARACTERS, TYPE
from signed_firmware.errors import ManifestError, Refusal
from signed_firmware.manifest import MAX_TEXT_CHARACTERS
from signed_firmware.trust import TrustStore
from signed_firmware.verification import verify_manifest
from simulator.paths import REPOSITORY

TEXT = (REPOSITORY / "docs/signed-firmware.md").read_text()
COMMANDS = re.findall(r"^python (-m simulator .*)$", TEXT, re.MULTILINE)
ROLLOUT, KEYS, PAYLOAD = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
[EXAMPLE] = ["".join(found.split()) for found in re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL)]
RFC_8037_KEY = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
}
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_the_commands_produce_a_manifest_that_a_device_accepts(tmp_path: Path) -> None:
    (tmp_path / "fw.bin").write_bytes(b"firmware")
    printed = [_run(command, tmp_path) for command in COMMANDS]
    assert len(printed) == 3
    assert json.loads(printed[-1])["version"] == json.loads(ROLLOUT)["firmware"]["version"]


def test_the_example_is_verified() -> None:
    trust = TrustStore.from_json(json.dumps({"keys": [RFC_8037_KEY]}))
    assert verify_manifest(EXAMPLE, trust, NOW).to_json() == PAYLOAD.strip()


def test_the_key_set_revokes_only_the_key_of_the_example() -> None:
    trust = TrustStore.from_json(KEYS)
    with pytest.raises(ManifestError) as refused:
        verify_manifest(EXAMPLE, trust, NOW)
    assert refused.value.code == "keyRevoked"
    assert len(trust.keys) == 2
    assert trust.revoked == {RFC_8037_KEY["kid"]}


def test_the_table_of_codes_is_complete() -> None:
    assert set(re.findall(r"^\| `(\w+)` \| [^|]* \|$", _codes(), re.MULTILINE)) == set(Refusal)


def test_the_documented_limits_are_the_limits() -> None:
    assert f"`{TYPE}`" in TEXT
    assert f"{MAX_ENVELOPE_CHARACTERS:,}\ncharacters at most" in TEXT
    assert f"string of 1 to {MAX_TEXT_CHARACTERS} printable characters" in TEXT


def _codes() -> str:
    return TEXT.split("## What devices refuse")[1].split("## ")[0]


def _run(command: str, folder: Path) -> str:
    ended = subprocess.run(
        [sys.executable, *shlex.split(command)],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
