"""Constants of a manifest's envelope: JWS in compact serialization (RFC 7515), Ed25519."""

ALGORITHM = "EdDSA"
TYPE = "firmware-manifest+jws"
# A manifest has a few hundred characters; the limit bounds what a device parses.
MAX_ENVELOPE_CHARACTERS = 16 * 1024
