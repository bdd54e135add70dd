"""How an update on a device can end badly."""

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
    """The update is over; `code` and the message are reported as they are."""

    def __init__(self, code: str, message: str) -> None:
        """`code` is a Failure, or a manifest's Refusal; `message` is in words, without secrets."""
        super().__init__(message)
        self.code = code
        self.message = message


class UnavailableError(Exception):
    """The package cannot be had just now, or no further; worth another try."""


class SwitchedOffError(Exception):
    """The device is to stop now; it goes on when it is started the next time."""
