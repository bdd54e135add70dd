"""Ed25519 public keys as JSON Web Keys (RFC 8037, 2) and their names."""

import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt.utils import base64url_decode, base64url_encode

type Jwk = dict[str, Any]


def build_jwk(key: Ed25519PublicKey) -> Jwk:
    """The key as a JWK, named by its compute_thumbprint."""
    members = _required_members(key)
    return members | {"kid": compute_thumbprint(key), "use": "sig", "alg": "EdDSA"}


def compute_thumbprint(key: Ed25519PublicKey) -> str:
    """SHA-256 over the required members in lexicographic order (RFC 7638, 3), base64url."""
    canonical = json.dumps(_required_members(key), separators=(",", ":"), sort_keys=True)
    return base64url_encode(hashlib.sha256(canonical.encode()).digest()).decode()


def read_jwk(jwk: Jwk) -> Ed25519PublicKey:
    """Read a JWK of kty OKP and crv Ed25519. Raises ValueError."""
    x = jwk.get("x")
    if not isinstance(x, str):
        raise ValueError("x must be a text")  # noqa: TRY004 - the JSON is wrong
    raw = base64url_decode(x)
    if base64url_encode(raw) != x.encode():
        raise ValueError("x must be base64url without padding")
    return Ed25519PublicKey.from_public_bytes(raw)


def _required_members(key: Ed25519PublicKey) -> Jwk:
    x = base64url_encode(key.public_bytes_raw()).decode()
    return {"kty": "OKP", "crv": "Ed25519", "x": x}
