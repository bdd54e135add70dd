"""The errors that end, delay or interrupt an update on a device."""

from enum import StrEnum


class Failure(StrEnum):
    """Why an update failed, as a device reports it in `errorCode`."""

    BAD_PACKAGE_URI = "badPackageUri"
    FORBIDDEN_ADDRESS = "forbiddenAddress"
    PACKAGE_URI_EXPIRED = "packageUriExpired"
    PACKAGE_NOT_FOUND = "packageNotFound"
    DOWNLOAD_REFUSED = "downloadRefused"
    DOWNLOAD_FAILED = "downloadFailed"
    TOO_SLOW = "tooSlow"
    TOO_MANY_REDIRECTS = "tooManyRedirects"
    BAD_RESPONSE = "badResponse"
    ENCODED_PACKAGE = "encodedPackage"
    SIZE_MISMATCH = "sizeMismatch"
    TOO_LARGE = "tooLarge"
    HASH_MISMATCH = "hashMismatch"
    NO_SPACE = "noSpace"
    STORAGE_FAILED = "storageFailed"
    INSTALL_FAILED = "installFailed"
    REVERTED = "reverted"
    INTERNAL_ERROR = "internalError"


class UpdateFailedError(Exception):
    """The update has failed; the device reports `code` and the message."""

    def __init__(self, code: str, message: str) -> None:
        """Set `code` to a Failure or a manifest's Refusal; the message must hold no secret."""
        super().__init__(message)
        self.code = code
        self.message = message


class UnavailableError(Exception):
    """The package cannot be downloaded now, or only in part; the device retries."""


class SwitchedOffError(Exception):
    """The device is being stopped; it continues at its next start."""
