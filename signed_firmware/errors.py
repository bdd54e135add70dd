"""What goes wrong with signed firmware.

Exception
├── ManifestError     a manifest is refused; its code is what a device reports
└── ValueError
    ├── TrustStoreError   the file of public keys cannot be used: a device must not start with it
    └── KeyFileError      the file of the private key cannot be used
"""

from enum import StrEnum


class Refusal(StrEnum):
    """Why a manifest is refused, as a device reports it in `errorCode`."""

    MANIFEST_INVALID = "manifestInvalid"
    SIGNATURE_INVALID = "signatureInvalid"
    KEY_UNKNOWN = "keyUnknown"
    KEY_REVOKED = "keyRevoked"
    MANIFEST_EXPIRED = "manifestExpired"
    WRONG_MODEL = "wrongModel"
    DOWNGRADE = "downgrade"
    VERSION_TOO_OLD = "versionTooOld"
    MANIFEST_MISMATCH = "manifestMismatch"


class ManifestError(Exception):
    """A manifest that a device refuses; the message is for the person who reads the report."""

    def __init__(self, code: Refusal, message: str) -> None:
        super().__init__(message)
        self.code: str = code.value


class TrustStoreError(ValueError):
    """A file of public keys that no device may trust; the message repeats no key."""


class KeyFileError(ValueError):
    """A file that holds no Ed25519 private key; the message repeats nothing of it."""
