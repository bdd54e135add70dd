"""Build valid and invalid manifests and envelopes for tests."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from signed_firmware import publisher
from signed_firmware.manifest import Manifest
from signed_firmware.trust import TrustStore

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
TRUST = TrustStore.from_json(publisher.build_key_set(KEY))
HEADER = {"alg": "EdDSA", "kid": publisher.compute_kid(KEY), "typ": "firmware-manifest+jws"}
PAYLOAD = {
    "version": "2.4.0",
    "sha256": "ab" * 32,
    "sizeBytes": 1_048_576,
    "models": ["thermostat-x1", "thermostat-x2"],
    "sequence": 42,
    "expiresAt": "2027-01-01T00:00:00Z",
    "minimumVersion": "2.0.0",
    "allowDowngrade": True,
}


def manifest(**changes: Any) -> Manifest:
    fields: dict[str, Any] = {
        "version": "2.4.0",
        "sha256": "ab" * 32,
        "size_bytes": 1_048_576,
        "models": ("thermostat-x1",),
        "sequence": 42,
        "expires_at": datetime(2027, 1, 1, tzinfo=UTC),
    }
    return Manifest(**(fields | changes))


def envelope(
    *,
    header: Mapping[str, Any] | bytes = HEADER,
    payload: Mapping[str, Any] | bytes = PAYLOAD,
    key: Ed25519PrivateKey = KEY,
) -> str:
    """Sign any content, even invalid, without the code under test."""
    signing_input = f"{_segment(header)}.{_segment(payload)}"
    return f"{signing_input}.{base64url(key.sign(signing_input.encode()))}"


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _segment(content: Mapping[str, Any] | bytes) -> str:
    return base64url(content if isinstance(content, bytes) else json.dumps(content).encode())
