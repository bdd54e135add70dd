"""The public keys whose manifests a device trusts, from a JWK Set (RFC 7517).

A key that may no longer be trusted stays in the file with
`"revoked": {"revoked_at": <seconds since 1970>, "reason": "compromised"}`, the form of OpenID
Federation 1.0, 8.7. Whatever its time: who stole a key can write any date.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from signed_firmware.errors import ManifestError, Refusal, TrustStoreError
from signed_firmware.jwk import Jwk, compute_thumbprint, read_jwk
from signed_firmware.strict_json import parse_json_object

# Every name under which JWK has a private or a secret part (RFC 7518, 6; RFC 8037, 2).
_PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}


@dataclass(frozen=True, slots=True)
class TrustStore:
    """Public keys by `kid`, and which of them are revoked."""

    keys: Mapping[str, Ed25519PublicKey]
    revoked: frozenset[str] = frozenset()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file. Raises OSError and TrustStoreError."""
        return cls.from_json(path.read_bytes())

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a JWK Set. Raises TrustStoreError.

        Keys of other kinds are ignored (RFC 7517, 5), but a set without any Ed25519 key is refused.
        """
        jwks = [jwk for jwk in _members(text) if _is_ours(jwk)]
        keys = {_kid(jwk): _key(jwk) for jwk in jwks}
        if not keys:
            raise TrustStoreError("the key set has no Ed25519 key")
        if len(keys) != len(jwks):
            raise TrustStoreError("the key set has the same key twice")
        return cls(keys, frozenset(_kid(jwk) for jwk in jwks if _is_revoked(jwk)))

    def key(self, kid: str) -> Ed25519PublicKey:
        """The key of this name. Raises ManifestError with `keyUnknown` or `keyRevoked`."""
        if kid in self.revoked:
            raise ManifestError(Refusal.KEY_REVOKED, f"the key {kid} is revoked")
        if kid not in self.keys:
            raise ManifestError(Refusal.KEY_UNKNOWN, "the key is none of those that are trusted")
        return self.keys[kid]


def _members(text: str | bytes) -> list[Jwk]:
    try:
        jwks = parse_json_object(text).get("keys")
    except ValueError as error:
        raise TrustStoreError(f"the key set cannot be read: {error}") from None
    if not isinstance(jwks, list) or not all(isinstance(jwk, dict) for jwk in jwks):
        raise TrustStoreError('a key set is {"keys": [...]} with an object for each key')
    if any(_PRIVATE_MEMBERS & jwk.keys() for jwk in jwks):
        raise TrustStoreError("the key set holds a private key: only the publisher may have it")
    return jwks


def _is_ours(jwk: Jwk) -> bool:
    return jwk.get("kty") == "OKP" and jwk.get("crv") == "Ed25519"


def _kid(jwk: Jwk) -> str:
    kid = jwk.get("kid")
    if not isinstance(kid, str) or kid != compute_thumbprint(_key(jwk)):
        raise TrustStoreError("a key's kid is not its compute_thumbprint (RFC 7638)")
    return kid


def _key(jwk: Jwk) -> Ed25519PublicKey:
    try:
        return read_jwk(jwk)
    except ValueError as error:
        raise TrustStoreError(f"a key cannot be read: {error}") from None


def _is_revoked(jwk: Jwk) -> bool:
    if "revoked" not in jwk:
        return False
    revoked: Any = jwk["revoked"]
    # A member that is not understood must not be taken for a key in good standing.
    if not isinstance(revoked, dict) or type(revoked.get("revoked_at")) is not int:
        raise TrustStoreError('a key\'s revoked must be {"revoked_at": <seconds>, "reason": ...}')
    return True
