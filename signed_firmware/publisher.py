"""Create a publisher's key and sign manifests with it."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt import PyJWS

from signed_firmware.envelope import ALGORITHM, MAX_ENVELOPE_CHARACTERS, TYPE
from signed_firmware.errors import KeyFileError, ManifestError, Refusal
from signed_firmware.jwk import build_jwk, compute_thumbprint
from signed_firmware.manifest import Manifest

_OWNER_ONLY = 0o600


@dataclass(frozen=True, slots=True)
class Package:
    """The measured content of a firmware package."""

    sha256: str
    """SHA-256 in lower-case hexadecimal digits."""
    size_bytes: int
    """The size in bytes."""


def generate_key() -> Ed25519PrivateKey:
    """Generate a key from the system's random source."""
    return Ed25519PrivateKey.generate()


def compute_kid(key: Ed25519PrivateKey) -> str:
    """Compute the `kid` by which devices know the key."""
    return compute_thumbprint(key.public_key())


def build_key_set(key: Ed25519PrivateKey) -> str:
    """Build the JWK Set, with the public key only, that devices trust."""
    return json.dumps({"keys": [build_jwk(key.public_key())]}, indent=2) + "\n"


def write_private_key(key: Ed25519PrivateKey, path: Path) -> None:
    """Write the key as PKCS#8 PEM, readable by its owner only. Raises OSError."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    # One call creates the file with its mode, so that no other user can ever open it.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Read what `write_private_key` wrote. Raises OSError and KeyFileError."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The cause is left out, because it may quote the file.
        raise KeyFileError(f"{path} is not a private key in PEM without a passphrase") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path} holds a key of another type; expected Ed25519")
    return key


def measure_package(package: Path) -> Package:
    """Read a package once, in parts, and measure it. Raises OSError."""
    with package.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return Package(sha256=digest.hexdigest(), size_bytes=file.tell())


def sign_manifest(manifest: Manifest, private_key: Ed25519PrivateKey) -> str:
    """Sign a manifest and return its envelope, a JWS in compact serialization.

    Raises ManifestError with `manifestInvalid` for a manifest that every device would refuse.
    """
    payload = manifest.to_json()
    if Manifest.from_json(payload) != manifest:
        raise ManifestError(
            Refusal.MANIFEST_INVALID, "expiresAt must be a time in UTC, in whole seconds"
        )
    header = {"kid": compute_kid(private_key), "typ": TYPE}
    envelope = PyJWS().encode(payload.encode(), private_key, algorithm=ALGORITHM, headers=header)
    if len(envelope) > MAX_ENVELOPE_CHARACTERS:
        raise ManifestError(
            Refusal.MANIFEST_INVALID,
            f"the envelope has {len(envelope)} characters, at most {MAX_ENVELOPE_CHARACTERS} are "
            "allowed; name fewer models",
        )
    return envelope
