"""Read the public keys that a device trusts, from a JWK Set (RFC 7517).

A key that is no longer trusted stays in the file with
`"revoked": {"revoked_at": <seconds since 1970>, "reason": "compromised"}`, the form of OpenID
Federation 1.0, 8.7. The key is revoked whatever the time says, because the thief of a key can write
any date.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from signed_firmware.errors import ManifestError, Refusal, TrustStoreError
from signed_firmware.jwk import Jwk, compute_thumbprint, read_jwk
from signed_firmware.strict_json import parse_json_object

# The names of all private and secret fields of a JWK (RFC 7518, 6; RFC 8037, 2).
_PRIVATE_FIELDS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


@dataclass(frozen=True, slots=True)
class TrustStore:
    """The public keys that a device trusts."""

    keys: Mapping[str, Ed25519PublicKey]
    """All keys, by `kid`."""
    revoked: frozenset[str] = frozenset()
    """The `kid` of each revoked key."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file with a JWK Set. Raises OSError and TrustStoreError."""
        return cls.from_json(path.read_bytes())

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a JWK Set. Raises TrustStoreError.

        Keys of other types are ignored (RFC 7517, 5); a set without an Ed25519 key is refused.
        """
        jwks = [jwk for jwk in _read_jwks(text) if _is_ed25519(jwk)]
        keys = {_read_kid(jwk): _read_key(jwk) for jwk in jwks}
        if not keys:
            raise TrustStoreError("the key set has no Ed25519 key")
        if len(keys) != len(jwks):
            raise TrustStoreError("the key set has the same key twice; remove one")
        return cls(keys, frozenset(_read_kid(jwk) for jwk in jwks if _is_revoked(jwk)))

    def key(self, kid: str) -> Ed25519PublicKey:
        """Return the key with this `kid`. Raises ManifestError: `keyUnknown` or `keyRevoked`."""
        if kid in self.revoked:
            raise ManifestError(Refusal.KEY_REVOKED, f"the key {kid} is revoked")
        if kid not in self.keys:
            raise ManifestError(
                Refusal.KEY_UNKNOWN, "this device does not trust the key that signed the manifest"
            )
        return self.keys[kid]


def _read_jwks(text: str | bytes) -> list[Jwk]:
    try:
        jwks = parse_json_object(text).get("keys")
    except ValueError as error:
        raise TrustStoreError(f"the key set cannot be read: {error}") from None
    if not isinstance(jwks, list) or not all(isinstance(jwk, dict) for jwk in jwks):
        raise TrustStoreError('the key set must be {"keys": [...]} with an object for each key')
    if any(_PRIVATE_FIELDS & jwk.keys() for jwk in jwks):
        raise TrustStoreError("the key set holds a private key, which only the publisher may have")
    return jwks


def _is_ed25519(jwk: Jwk) -> bool:
    return jwk.get("kty") == "OKP" and jwk.get("crv") == "Ed25519"


def _read_kid(jwk: Jwk) -> str:
    kid = jwk.get("kid")
    if not isinstance(kid, str) or kid != compute_thumbprint(_read_key(jwk)):
        raise TrustStoreError("a key's kid is not its thumbprint (RFC 7638)")
    return kid


def _read_key(jwk: Jwk) -> Ed25519PublicKey:
    try:
        return read_jwk(jwk)
    except ValueError as error:
        raise TrustStoreError(f"a key cannot be read: {error}") from None


def _is_revoked(jwk: Jwk) -> bool:
    if "revoked" not in jwk:
        return False
    revoked: Any = jwk["revoked"]
    # A key with an invalid `revoked` must not count as trusted.
    if not isinstance(revoked, dict) or type(revoked.get("revoked_at")) is not int:
        raise TrustStoreError('a key\'s revoked must be {"revoked_at": <seconds>, "reason": ...}')
    return True
