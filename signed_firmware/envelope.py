"""The envelope of a manifest: JWS in compact serialization (RFC 7515), signed with Ed25519."""

ALGORITHM = "EdDSA"
TYPE = "firmware-manifest+jws"
ENVELOPE_CHARACTERS_AT_MOST = 16 * 1024
