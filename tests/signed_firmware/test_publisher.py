"""Test key files, measured packages, and that invalid manifests are not signed."""

import hashlib
import os
import stat
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from signed_firmware import publisher
from signed_firmware.errors import KeyFileError, ManifestError
from tests.signed_firmware.builders import KEY, TRUST, manifest


def test_every_generated_key_is_different() -> None:
    assert publisher.compute_kid(publisher.generate_key()) != publisher.compute_kid(
        publisher.generate_key()
    )


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_a_private_key_is_readable_by_its_owner_only(tmp_path: Path, umask: int) -> None:
    file, before = tmp_path / "key.pem", os.umask(umask)
    try:
        publisher.write_private_key(KEY, file)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().startswith("-----BEGIN PRIVATE KEY-----\n")
    assert publisher.compute_kid(publisher.read_private_key(file)) == publisher.compute_kid(KEY)


def test_a_private_key_never_overwrites_a_file(tmp_path: Path) -> None:
    file, link = tmp_path / "key.pem", tmp_path / "link.pem"
    file.write_text("another user's")
    link.symlink_to(tmp_path / "elsewhere")
    for path in (file, link):
        with pytest.raises(FileExistsError):
            publisher.write_private_key(KEY, path)
    assert file.read_text() == "another user's"
    assert not (tmp_path / "elsewhere").exists()


PKCS8 = PrivateFormat.PKCS8


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n",
        KEY.private_bytes(Encoding.PEM, PKCS8, BestAvailableEncryption(b"passphrase")),
        KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        generate_ec(SECP256R1()).private_bytes(Encoding.PEM, PKCS8, NoEncryption()),
    ],
    ids=["empty", "rubbish", "passphrase", "public", "another kind"],
)
def test_an_invalid_private_key_is_refused_and_not_repeated(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(content)
    with pytest.raises(KeyFileError) as refused:
        publisher.read_private_key(file)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("size", [0, 1, 3 * 2**20 + 1])
def test_a_package_is_measured_by_its_bytes(tmp_path: Path, size: int) -> None:
    file = tmp_path / "fw.bin"
    file.write_bytes(content := os.urandom(size))
    found = publisher.measure_package(file)
    assert (found.sha256, found.size_bytes) == (hashlib.sha256(content).hexdigest(), size)


@pytest.mark.parametrize(
    "changes",
    [
        {"size_bytes": 0},
        {"models": ()},
        {"version": ""},
        {"minimum_version": "two"},
        {"sha256": "AB" * 32},
        {"expires_at": datetime(2027, 1, 1, microsecond=1, tzinfo=UTC)},
        {"expires_at": datetime(2027, 1, 1)},  # noqa: DTZ001 - that it is naive is the point
        {"models": tuple(f"thermostat-{n:050}" for n in range(250))},
    ],
)
def test_a_manifest_that_devices_would_refuse_is_not_signed(changes: dict[str, Any]) -> None:
    with pytest.raises(ManifestError) as refused:
        publisher.sign_manifest(manifest(**changes), KEY)
    assert refused.value.code == "manifestInvalid"


def test_a_time_of_another_zone_is_signed_as_utc() -> None:
    there = datetime(2027, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    assert publisher.sign_manifest(manifest(expires_at=there), KEY) == publisher.sign_manifest(
        manifest(), KEY
    )


def test_the_key_set_holds_no_private_key() -> None:
    assert '"d"' not in publisher.build_key_set(KEY)
    assert list(TRUST.keys) == [publisher.compute_kid(KEY)]
