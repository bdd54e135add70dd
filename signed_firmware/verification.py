"""What a device checks before it downloads anything, in this order.

1. The envelope: JWS in compact serialization (RFC 7515) within its limits, with exactly our header.
2. The key: known by its `kid`, not revoked. Keys inside an envelope (`jwk`, `jku`, `x5u`) are
   never looked at.
3. The signature, before a byte of the payload is read.
4. The payload, then whether it is expired, meant for this device and newer than what the device
   has accepted so far, and whether the rollout asks for the very same package.
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

# Stricter than PyJWT, which takes padding: one manifest has one envelope only.
_ENVELOPE = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

_jws = PyJWS(algorithms=[ALGORITHM])


def verify_manifest(envelope: str, trust: TrustStore, now: datetime) -> Manifest:
    """The manifest inside, once its signature is checked; `now` is aware.

    Raises ManifestError with `manifestInvalid`, `keyUnknown`, `keyRevoked`, `signatureInvalid` or
    `manifestExpired`; from the second of `expiresAt` on it is expired (as `exp`, RFC 7519, 4.1.4).
    """
    key = trust.key(_key_name(envelope))
    manifest = Manifest.from_json(_signed_payload(envelope, key))
    if now >= manifest.expires_at:
        expired = f"the manifest expired at {format_time(manifest.expires_at)}"
        raise ManifestError(Refusal.MANIFEST_EXPIRED, expired)
    return manifest


def check_fits(
    manifest: Manifest, *, model: str, running_version: str, highest_sequence: int
) -> None:
    """Whether this device may take the release; `highest_sequence` is that of all it took, or 0.

    The same sequence again is allowed, for a retry. Raises ManifestError with `wrongModel`,
    `versionTooOld` or `downgrade`.
    """
    check_model(manifest, model)
    check_minimum_version(manifest, running_version)
    check_sequence(manifest, highest_sequence)


def check_model(manifest: Manifest, model: str) -> None:
    """Raises ManifestError with `wrongModel`."""
    if model not in manifest.models:
        other = f"the release is for {', '.join(manifest.models)}, this device is {model}"
        raise ManifestError(Refusal.WRONG_MODEL, other)


def check_minimum_version(manifest: Manifest, running: str) -> None:
    """Raises ManifestError with `versionTooOld`, also if the running version is not SemVer."""
    minimum = manifest.minimum_version
    if minimum is None:
        return
    try:
        too_old = Version.parse(running) < Version.parse(minimum)
    except ValueError:
        message = f"the release needs {minimum}; the running version cannot be compared with it"
        raise ManifestError(Refusal.VERSION_TOO_OLD, message) from None
    if too_old:
        message = f"the release needs {minimum} or later, this device runs {running}"
        raise ManifestError(Refusal.VERSION_TOO_OLD, message)


def check_sequence(manifest: Manifest, highest: int) -> None:
    """Raises ManifestError with `downgrade`."""
    if manifest.sequence < highest and not manifest.allow_downgrade:
        older = f"sequence {manifest.sequence} is below {highest}, which was taken before"
        raise ManifestError(Refusal.DOWNGRADE, older)


def check_agrees(
    manifest: Manifest, *, version: str | None, sha256: str | None, size_bytes: int | None
) -> None:
    """Whether the rollout asks for the package that is signed; None is what it does not say.

    Raises ManifestError with `manifestMismatch`.
    """
    asked = {
        "version": (version, manifest.version),
        "sha256": (sha256.lower() if sha256 else sha256, manifest.sha256),
        "sizeBytes": (size_bytes, manifest.size_bytes),
    }
    differing = [name for name, (said, signed) in asked.items() if said not in (None, signed)]
    if differing:
        message = f"the rollout and the manifest differ in {', '.join(differing)}"
        raise ManifestError(Refusal.MANIFEST_MISMATCH, message)


def _key_name(envelope: str) -> str:
    header = _header(envelope)
    if header.get("alg") != ALGORITHM:
        raise _invalid(f"alg must be {ALGORITHM}")
    if header.get("typ") != TYPE:
        raise _invalid(f"typ must be {TYPE}")
    if "crit" in header:
        raise _invalid("crit names an extension that this device does not know")
    if header.get("b64", True) is not True:
        raise _invalid("b64 must not be false")
    kid = header.get("kid")
    if not isinstance(kid, str):
        raise _invalid("kid must be a text")
    return kid


def _header(envelope: str) -> dict[str, object]:
    if len(envelope) > MAX_ENVELOPE_CHARACTERS:
        raise _invalid(f"the envelope is longer than {MAX_ENVELOPE_CHARACTERS} characters")
    segments = _ENVELOPE.fullmatch(envelope)
    if segments is None:
        raise _invalid("the envelope is no JWS in compact serialization")
    try:
        return parse_json_object(base64url_decode(segments[1]))
    except ValueError as error:
        raise _invalid(f"the header cannot be read: {error}") from None


def _signed_payload(envelope: str, key: Ed25519PublicKey) -> bytes:
    try:
        payload: bytes = _jws.decode(envelope, key, algorithms=[ALGORITHM])
    except InvalidSignatureError:
        message = "the signature is not that of the key that the manifest names"
        raise ManifestError(Refusal.SIGNATURE_INVALID, message) from None
    except PyJWTError as error:
        raise _invalid(f"the envelope cannot be read: {error}") from None
    return payload


def _invalid(message: str) -> ManifestError:
    return ManifestError(Refusal.MANIFEST_INVALID, message)
