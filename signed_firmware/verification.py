"""Verify a manifest on a device, before anything is downloaded.

The checks, in this order:

1. The envelope: JWS in compact serialization (RFC 7515) within its limits, with the expected `alg`
   and `typ` and no critical extension.
2. The key: known by its `kid` and not revoked. Keys inside an envelope (`jwk`, `jku`, `x5u`) are
   ignored.
3. The signature, before any byte of the payload is read.
4. The payload: not expired, meant for this device, not older than what the device has confirmed,
   and of the package that the rollout names.
"""

import re
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt import InvalidSignatureError, PyJWS, PyJWTError
from jwt.utils import base64url_decode
from semver import Version

from signed_firmware.envelope import ALGORITHM, MAX_ENVELOPE_CHARACTERS, TYPE
from signed_firmware.errors import ManifestError, Refusal
from signed_firmware.manifest import Manifest, format_time
from signed_firmware.strict_json import parse_json_object
from signed_firmware.trust import TrustStore

# Stricter than PyJWT, which allows padding: each manifest has exactly one envelope.
_ENVELOPE = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

_jws = PyJWS(algorithms=[ALGORITHM])


def verify_manifest(envelope: str, trust: TrustStore, now: datetime) -> Manifest:
    """Verify an envelope and return its manifest; `now` is aware.

    Raises ManifestError with `manifestInvalid`, `keyUnknown`, `keyRevoked`, `signatureInvalid` or
    `manifestExpired`. A manifest is expired from `expiresAt` on (as `exp`, RFC 7519, 4.1.4).
    """
    key = trust.key(_read_kid(envelope))
    manifest = Manifest.from_json(_verify_signature(envelope, key))
    if now >= manifest.expires_at:
        expired = f"the manifest expired at {format_time(manifest.expires_at)}"
        raise ManifestError(Refusal.MANIFEST_EXPIRED, expired)
    return manifest


def check_fits(
    manifest: Manifest, *, model: str, running_version: str, highest_sequence: int
) -> None:
    """Check that this device may install the release.

    `highest_sequence` is the highest one that the device has confirmed, or 0. The same sequence
    again is allowed, for a retry. Raises ManifestError with `wrongModel`, `versionTooOld` or
    `downgrade`.
    """
    check_model(manifest, model)
    check_minimum_version(manifest, running_version)
    check_sequence(manifest, highest_sequence)


def check_model(manifest: Manifest, model: str) -> None:
    """Check that the release is for `model`. Raises ManifestError with `wrongModel`."""
    if model not in manifest.models:
        other = f"the release is for {', '.join(manifest.models)}, this device is {model}"
        raise ManifestError(Refusal.WRONG_MODEL, other)


def check_minimum_version(manifest: Manifest, running: str) -> None:
    """Check that the running version is SemVer and high enough.

    Raises ManifestError with `versionTooOld`.
    """
    minimum = manifest.minimum_version
    if minimum is None:
        return
    try:
        too_old = Version.parse(running) < Version.parse(minimum)
    except ValueError:
        message = f"the release needs {minimum} or later; the running version is not SemVer"
        raise ManifestError(Refusal.VERSION_TOO_OLD, message) from None
    if too_old:
        message = f"the release needs {minimum} or later, this device runs {running}"
        raise ManifestError(Refusal.VERSION_TOO_OLD, message)


def check_sequence(manifest: Manifest, highest: int) -> None:
    """Check that the release is not older than `highest`. Raises ManifestError: `downgrade`."""
    if manifest.sequence < highest and not manifest.allow_downgrade:
        older = f"sequence {manifest.sequence} is below {highest}, which this device has confirmed"
        raise ManifestError(Refusal.DOWNGRADE, older)


def check_agrees(
    manifest: Manifest, *, version: str | None, sha256: str | None, size_bytes: int | None
) -> None:
    """Check that the rollout names the signed package. None stands for a value that it omits.

    Raises ManifestError with `manifestMismatch`.
    """
    pairs = {
        "version": (version, manifest.version),
        "sha256": (sha256.lower() if sha256 else sha256, manifest.sha256),
        "sizeBytes": (size_bytes, manifest.size_bytes),
    }
    differing = [name for name, (stated, signed) in pairs.items() if stated not in (None, signed)]
    if differing:
        message = f"the rollout and the manifest differ in {', '.join(differing)}"
        raise ManifestError(Refusal.MANIFEST_MISMATCH, message)


def _read_kid(envelope: str) -> str:
    header = _read_header(envelope)
    if header.get("alg") != ALGORITHM:
        raise _invalid(f"alg must be {ALGORITHM}")
    if header.get("typ") != TYPE:
        raise _invalid(f"typ must be {TYPE}")
    if "crit" in header:
        raise _invalid("crit names an extension, and this device supports none")
    if header.get("b64", True) is not True:
        raise _invalid("b64 must not be false")
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise _invalid("kid must be a string")
    return kid


def _read_header(envelope: str) -> dict[str, object]:
    if len(envelope) > MAX_ENVELOPE_CHARACTERS:
        raise _invalid(
            f"the envelope has {len(envelope)} characters; "
            f"at most {MAX_ENVELOPE_CHARACTERS} are allowed"
        )
    segments = _ENVELOPE.fullmatch(envelope)
    if segments is None:
        raise _invalid("the envelope is not a JWS in compact serialization")
    try:
        return parse_json_object(base64url_decode(segments[1]))
    except ValueError as error:
        raise _invalid(f"the header cannot be read: {error}") from None


def _verify_signature(envelope: str, key: Ed25519PublicKey) -> bytes:
    try:
        payload: bytes = _jws.decode(envelope, key, algorithms=[ALGORITHM])
    except InvalidSignatureError:
        message = "the signature was not made by the key that the manifest names"
        raise ManifestError(Refusal.SIGNATURE_INVALID, message) from None
    except PyJWTError as error:
        raise _invalid(f"the envelope cannot be read: {error}") from None
    return payload


def _invalid(message: str) -> ManifestError:
    return ManifestError(Refusal.MANIFEST_INVALID, message)
