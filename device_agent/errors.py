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

    def __init__(
        self,
        message: str,
        code: str = Failure.DOWNLOAD_FAILED,
        *,
        retry_after_seconds: float = 0.0,
    ) -> None:
        """Set `code` to what is reported if the last attempt fails too.

        `retry_after_seconds` is the pause that the server requests.
        """
        super().__init__(message)
        self.code = code
        self.retry_after_seconds = retry_after_seconds


class RefusedError(UnavailableError):
    """The server refuses the package or sends something else; a few retries decide.

    One such response proves nothing: it may come from a captive portal or a proxy on the way.
    """


class SwitchedOffError(Exception):
    """The device is being stopped; it continues at its next start."""
