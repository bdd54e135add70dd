"""What the commands `keygen`, `sign` and `verify` do with their options."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import isodate

from signed_firmware import publisher
from signed_firmware.envelope import MAX_ENVELOPE_CHARACTERS
from signed_firmware.manifest import Manifest, parse_time
from signed_firmware.trust import TrustStore
from signed_firmware.verification import (
    check_agrees,
    check_minimum_version,
    check_model,
    check_sequence,
    verify_manifest,
)
from simulator.commands.signing_options import Expected, Release


def keygen(name: Path) -> str:
    """Write `<name>.pem` and `<name>.jwks.json`; return the key's `kid`.

    Raises OSError, FileExistsError if either file exists.
    """
    private, public = Path(f"{name}.pem"), Path(f"{name}.jwks.json")
    if public.exists():
        raise FileExistsError(f"{public} exists already")
    key = publisher.generate_key()
    publisher.write_private_key(key, private)
    public.write_text(publisher.build_key_set(key))
    return publisher.compute_kid(key)


def sign(package: Path, key_file: Path, release: Release) -> str:
    """Return the signed envelope. Raises OSError, KeyFileError and ManifestError."""
    key = publisher.read_private_key(key_file)
    content = publisher.measure_package(package)
    manifest = Manifest(
        version=release.version,
        sha256=content.sha256,
        size_bytes=content.size_bytes,
        models=tuple(release.models),
        sequence=release.sequence,
        expires_at=release.expires_at,
        minimum_version=release.minimum_version,
        allow_downgrade=release.allow_downgrade,
    )
    return publisher.sign_manifest(manifest, key)


def verify(file: Path, keys: Path, expected: Expected) -> Manifest:
    """Return the manifest in the file, or on standard input for `-`.

    Raises ManifestError if a device would refuse it, OSError and TrustStoreError.
    """
    manifest = verify_manifest(_read_envelope(file), TrustStore.read(keys), datetime.now(UTC))
    if expected.model is not None:
        check_model(manifest, expected.model)
    if expected.running_version is not None:
        check_minimum_version(manifest, expected.running_version)
    if expected.highest_sequence is not None:
        check_sequence(manifest, expected.highest_sequence)
    if expected.package is not None:
        found = publisher.measure_package(expected.package)
        check_agrees(manifest, version=None, sha256=found.sha256, size_bytes=found.size_bytes)
    return manifest


def parse_expiry(text: str, now: datetime) -> datetime:
    """Parse a duration from `now` like P90D, or a time in UTC. Raises ValueError."""
    try:
        moment: datetime = (
            now + isodate.parse_duration(text) if text[0] == "P" else parse_time(text)
        )
    except (ValueError, IndexError, OverflowError):
        raise ValueError("must be a duration (P90D) or a UTC time (2027-01-01T00:00:00Z)") from None
    expires_at = moment.replace(microsecond=0)
    if expires_at <= now:
        raise ValueError("must be in the future")
    return expires_at


def _read_envelope(file: Path) -> str:
    # The file may be the package, by mistake: read no more than is needed to refuse it.
    most = MAX_ENVELOPE_CHARACTERS + len("\r\n") + 1
    if file == Path("-"):
        found = sys.stdin.buffer.read(most)
    else:
        with file.open("rb") as stream:
            found = stream.read(most)
    return found.decode(errors="replace").removesuffix("\n").removesuffix("\r")
