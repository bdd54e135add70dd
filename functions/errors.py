"""What can go wrong, by whose fault it is and whether the caller may try again.

FleetRolloutError
+- SettingsError            the deployment is incomplete
+- RequestError             the caller's fault; nothing was stored
|  +- MalformedError        not JSON
|  +- TooLargeError         a body over the limit
|  +- InvalidError          JSON, but not valid; carries the fields
|  +- UnknownError          no such rollout or device
|  +- ConflictError         the state, or an idempotency key, forbids it
+- UnavailableError         not now; the same call may work later
|  +- HubUnavailableError
|  +- StorageUnavailableError
|  +- InProgressError       the same request is being worked on
+- LostRaceError            somebody else changed the record first; read it again
"""

from collections.abc import Sequence
from dataclasses import dataclass


class FleetRolloutError(Exception):
    """Base of all errors that this project raises on purpose."""


class SettingsError(FleetRolloutError):
    """A setting is missing or unusable; the message names it."""


class RequestError(FleetRolloutError):
    """The request cannot be fulfilled as it is."""


class MalformedError(RequestError):
    """The body is not JSON."""


class TooLargeError(RequestError):
    """The body is larger than accepted."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field; `pointer` is a JSON Pointer (RFC 6901) into the body."""

    pointer: str
    detail: str


class InvalidError(RequestError):
    """The request is JSON, and says something that cannot be."""

    def __init__(self, message: str, fields: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.fields = tuple(fields)


class UnknownError(RequestError):
    """There is no such thing."""


class ConflictError(RequestError):
    """It exists, but in a state that does not allow this."""


class UnavailableError(FleetRolloutError):
    """Not now; the same call may work later."""


class HubUnavailableError(UnavailableError):
    """The IoT Hub could not be reached, or would not serve."""


class StorageUnavailableError(UnavailableError):
    """Table Storage could not be reached, or would not serve."""


class InProgressError(UnavailableError):
    """The same request is being worked on; repeat it to learn the outcome."""


class LostRaceError(FleetRolloutError):
    """The record was changed since it was read, or exists already."""
