"""Convert Ed25519 public keys to and from JSON Web Keys (RFC 8037, 2)."""

import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt.utils import base64url_decode, base64url_encode

type Jwk = dict[str, Any]


def build_jwk(key: Ed25519PublicKey) -> Jwk:
    """Return the key as a JWK whose `kid` is its thumbprint."""
    fields = _required_fields(key)
    return fields | {"kid": compute_thumbprint(key), "use": "sig", "alg": "EdDSA"}


def compute_thumbprint(key: Ed25519PublicKey) -> str:
    """Return the SHA-256 of the required fields in lexicographic order (RFC 7638), base64url."""
    canonical = json.dumps(_required_fields(key), separators=(",", ":"), sort_keys=True)
    return base64url_encode(hashlib.sha256(canonical.encode()).digest()).decode()


def read_jwk(jwk: Jwk) -> Ed25519PublicKey:
    """Read a JWK with kty OKP and crv Ed25519. Raises ValueError."""
    x = jwk.get("x")
    if not isinstance(x, str):
        raise ValueError("x must be a string")  # noqa: TRY004 - the JSON is invalid, not a Python argument
    raw = base64url_decode(x)
    if base64url_encode(raw) != x.encode():
        raise ValueError("x must be base64url without padding")
    return Ed25519PublicKey.from_public_bytes(raw)


def _required_fields(key: Ed25519PublicKey) -> Jwk:
    x = base64url_encode(key.public_bytes_raw()).decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": x}
