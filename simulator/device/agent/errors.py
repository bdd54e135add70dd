"""How an update on a device can end badly."""


class UpdateFailed(Exception):  # noqa: N818 - named for what happened, as in the reports
    """The update is over; `code` and the message are reported as they are."""

    def __init__(self, code: str, message: str) -> None:
        """`code` is in camel case, `message` in words, without secrets."""
        super().__init__(message)
        self.code = code
        self.message = message


class Unavailable(Exception):  # noqa: N818 - a state of the server's, not a defect
    """The package cannot be had just now, or no further; worth another try."""


class SwitchedOff(Exception):  # noqa: N818 - no error: the device is being stopped
    """The device is to stop now; it goes on when it is started the next time."""
