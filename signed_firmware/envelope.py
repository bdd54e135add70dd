"""The envelope of a manifest: JWS in compact serialization (RFC 7515), signed with Ed25519."""

ALGORITHM = "EdDSA"
TYPE = "firmware-manifest+jws"
MAX_ENVELOPE_CHARACTERS = 16 * 1024
