"""Make firmware manifests as a publisher does; the signature is invalid, only devices check it."""

import base64
import json
from typing import Any

SHA256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
SIZE = 1_048_576
HEADER: dict[str, Any] = {"alg": "EdDSA", "kid": "release-1", "typ": "firmware-manifest+jws"}
PAYLOAD: dict[str, Any] = {
    "version": "2.4.0",
    "sha256": SHA256,
    "sizeBytes": SIZE,
    "models": ["thermostat"],
    "sequence": 7,
    "expiresAt": "2099-01-01T00:00:00Z",
}
SIGNATURE = "c2ln" * 21 + "cw"


def encoded(value: Any) -> str:
    """Encode a JSON value, or bytes, as a part of a JWS."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def signed(header: Any = None, **payload: Any) -> str:
    """Make a manifest with these values instead of the usual ones; None leaves one out."""
    values = {name: value for name, value in (PAYLOAD | payload).items() if value is not None}
    return f"{encoded(header or HEADER)}.{encoded(values)}.{SIGNATURE}"
