"""Define the errors of use cases and adapters, by cause and by whether a repeat may succeed.

FleetRolloutError
+- SettingsError            a setting is missing or invalid
+- RequestError             the caller has to change the request; nothing was stored
|  +- MalformedError        the body is not JSON
|  +- LengthRequiredError   the body was sent without its length, and did not arrive
|  +- EncodingError         the body has a Content-Encoding
|  +- TooLargeError         the body is over the limit
|  +- UnknownError          no such rollout or device
|  +- FieldsError           may list fields of the body
|     +- InvalidError       the body has invalid fields
|     +- ConflictError      a status or an idempotency key does not allow the request
|        +- PlanChangedError  the plan is no longer the one that the request names
|  +- StaleError            the rollout or firmware has another revision than the request names
+- UnavailableError         the same request may succeed later
|  +- HubUnavailableError   the hub cannot be reached, or refuses the call
|  |  +- DailyQuotaError    the hub's messages of the day are used up
|  |  +- HubRefusedError    the hub refuses this app
|  +- StorageUnavailableError  the storage cannot be reached, or refuses the call
|  |  +- TableMissingError  the table of rollouts has vanished
|  |  +- NewerSchemaError   a newer release stored it; it is left alone
|  +- InProgressError       another request with the same idempotency key is under way
+- LostRaceError            another request changed the record first; read it again
+- PortError                a port refuses an argument; the caller of the port converts it
   +- CursorError           of the stores: a cursor that the list did not return
   +- ConditionError        of the hub gateway: a condition that the hub rejects

The rules in `rollouts` define ValueErrors of their own, which use cases and schemas convert to a
RequestError. Their IllegalMoveError is a defect.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class FleetRolloutError(Exception):
    """The base of all errors that this project raises on purpose outside `rollouts`."""


class SettingsError(FleetRolloutError):
    """A setting is missing or invalid; the message names it."""


class RequestError(FleetRolloutError):
    """The request can succeed only after a change."""


class MalformedError(RequestError):
    """The body is not JSON."""


class LengthRequiredError(RequestError):
    """The body was sent without its length, and did not arrive."""


class EncodingError(RequestError):
    """The body has a Content-Encoding."""


class TooLargeError(RequestError):
    """The body is larger than accepted."""


# More errors than a caller corrects at once; they keep the response small.
MAX_FIELD_ERRORS = 100


@dataclass(frozen=True, slots=True)
class FieldError:
    """One invalid field of a body."""

    pointer: str  # a JSON Pointer (RFC 6901) into the body
    detail: str  # what is wrong and what is expected


class FieldsError(RequestError):
    """An error that may list fields of the body."""

    def __init__(self, message: str, fields: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.fields = tuple(fields)


class InvalidError(FieldsError):
    """The body is JSON with invalid fields, listed in `fields`."""


class UnknownError(RequestError):
    """The rollout or device does not exist."""


class ConflictError(FieldsError):
    """The rollout, the plan or the idempotency key does not allow the request."""


class PlanChangedError(ConflictError):
    """The plan is no longer the one whose `planHash` the request has."""


class StaleError(RequestError):
    """The rollout or firmware has changed since the revision that the request names."""


class UnavailableError(FleetRolloutError):
    """The same request may succeed later."""


class HubUnavailableError(UnavailableError):
    """The IoT Hub cannot be reached, or refuses the call."""


class DailyQuotaError(HubUnavailableError):
    """The hub refuses all calls until midnight UTC: its messages of the day are used up (403002).

    No call is made until then.
    """


class HubRefusedError(HubUnavailableError):
    """The hub refuses this app (401, 403), or no token for it is issued, whatever it calls."""


class StorageUnavailableError(UnavailableError):
    """Azure Storage cannot be reached, or refuses the call."""


class TableMissingError(StorageUnavailableError):
    """The table of rollouts has vanished, or is being deleted."""


class NewerSchemaError(StorageUnavailableError):
    """A row or queue message was stored by a newer release, in a format unknown to this one.

    It is left as it is: hosts of the newer release go on with it.
    """


class InProgressError(UnavailableError):
    """The same request is under way; a repeat returns its result."""


class LostRaceError(FleetRolloutError):
    """Another request has changed the record since it was read, or has created it."""


class PortError(FleetRolloutError, ValueError):
    """A port refuses an argument; the caller of the port converts the error."""
