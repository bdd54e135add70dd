"""Certificate files: created once, reused while valid, private."""

import stat
from pathlib import Path

import pytest
import trustme

from simulator.hub.certificates import certificates_in


def test_certificates_are_created_once(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    certificates_in(folder, ["localhost", "127.0.0.1"])
    made = contents(folder)
    certificates_in(folder, ["localhost"])
    assert contents(folder) == made


def test_private_keys_are_for_the_owner_only(tmp_path: Path) -> None:
    certificates_in(tmp_path, ["localhost"])
    for name in ("hub.pem", "ca-key.pem"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert b"PRIVATE" not in (tmp_path / "ca.pem").read_bytes()


def test_a_new_address_needs_a_new_certificate_of_the_same_authority(tmp_path: Path) -> None:
    certificates_in(tmp_path, ["localhost"])
    before = contents(tmp_path)
    certificates_in(tmp_path, ["127.1.2.3", "::1"])
    after = contents(tmp_path)
    assert after["ca.pem"] == before["ca.pem"]
    assert after["hub.pem"] != before["hub.pem"]
    certificates_in(tmp_path, ["::1"])
    assert contents(tmp_path) == after


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.pem")}


@pytest.mark.parametrize("broken", ["hub.pem", "ca.pem", "ca-key.pem"])
def test_broken_or_foreign_certificates_are_replaced(tmp_path: Path, broken: str) -> None:
    certificates_in(tmp_path, ["localhost"])
    (tmp_path / broken).write_bytes(b"nonsense")
    certificates_in(tmp_path, ["localhost", "127.1.2.3"])
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "ca-key.pem").unlink()
    certificates_in(tmp_path, ["localhost"])
