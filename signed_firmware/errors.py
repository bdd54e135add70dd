"""The errors of signed firmware.

Exception
├── ManifestError     a device refuses a manifest and reports the error's code
└── ValueError
    ├── TrustStoreError   the file of public keys is invalid; a device must not start with it
    └── KeyFileError      the file of the private key is invalid
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
    """A device refuses a manifest; the message is for the reader of the device's report."""

    def __init__(self, code: Refusal, message: str) -> None:
        super().__init__(message)
        self.code: str = code.value


class TrustStoreError(ValueError):
    """An invalid file of public keys; the message repeats no key."""


class KeyFileError(ValueError):
    """A file without an Ed25519 private key; the message repeats nothing of it."""
