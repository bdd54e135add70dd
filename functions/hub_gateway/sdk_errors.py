"""Convert the SDK's errors to this project's, and read error codes and messages in them."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from azure.core.exceptions import AzureError, ClientAuthenticationError
from msrest.exceptions import ClientException, HttpOperationError

from functions.errors import DailyQuotaError, HubRefusedError, HubUnavailableError, PortError
from functions.hub_gateway.port import ConditionError

HUB_SUSPENDED = 400020
QUOTA_EXCEEDED = 403002
DEVICE_DISABLED = 403012
DEVICE_NOT_FOUND = 404001
DEVICE_NOT_ONLINE = 404103
DEVICE_CONNECTION_CLOSED = 404104
GATEWAY_TIMEOUT = 504101
# The hub called the device, which closed its connection or did not respond in time.
DEVICE_WAS_CALLED = frozenset({DEVICE_CONNECTION_CLOSED, GATEWAY_TIMEOUT})
# Refusals that concern a device, a job or a quota, and not this app: jobs, a device's queue, file
# uploads, a disabled device, methods in flight.
_NOT_OF_THE_APP = frozenset({QUOTA_EXCEEDED, 403003, 403004, 403006, DEVICE_DISABLED, 403800})
_REFUSALS = frozenset({requests.codes.unauthorized, requests.codes.forbidden})
# Microsoft Learn, "Understand and resolve Azure IoT Hub errors".
_CODES = {
    "IotHubSuspended": HUB_SUSPENDED,
    "IotHubQuotaExceeded": QUOTA_EXCEEDED,
    "DeviceDisabled": DEVICE_DISABLED,
    "DeviceNotFound": DEVICE_NOT_FOUND,
    "DeviceNotOnline": DEVICE_NOT_ONLINE,
    "DeviceConnectionClosedRemotely": DEVICE_CONNECTION_CLOSED,
    "GatewayTimeout": GATEWAY_TIMEOUT,
}
_MAX_MESSAGE_CHARACTERS = 300
_SERVER_ERROR = 500
_TRANSIENT = frozenset({requests.codes.not_found, requests.codes.request_timeout})
_POSITION = re.compile(r"(?i)\b((?:character|char|column|col|position|offset)\W{1,3})([0-9]{1,6})")


# What decoding a response raises that is nested too deeply, is no text, or is no object of the hub.
# The SDK's own DeserializationError is a ValueError.
_DECODING_ERRORS = (ValueError, RecursionError, TypeError, AttributeError)


class UnreadableError(HubUnavailableError):
    """The hub responded, and its response cannot be read."""


@contextmanager
def hub_errors() -> Iterator[None]:
    """Raise HubUnavailableError instead of every error of the SDK."""
    try:
        yield
    except HttpOperationError as error:
        code = error_code(error) or error.response.status_code
        if code == QUOTA_EXCEEDED:
            message = (
                "The hub's messages of the day are used up (403002); try again after 00:00 UTC."
            )
            raise DailyQuotaError(message) from error
        if refuses_app(error):
            raise HubRefusedError(f"The IoT Hub refuses this app ({code}).") from error
        raise HubUnavailableError(f"The IoT Hub responded with {code}.") from error
    except PortError:  # from `condition_errors`; it is a ValueError too
        raise
    except _DECODING_ERRORS as error:
        raise UnreadableError("The IoT Hub's response is invalid.") from error
    except ClientAuthenticationError as error:
        raise HubRefusedError("This app could not sign in to the IoT Hub.") from error
    except AzureError as error:
        raise HubUnavailableError("This app could not sign in to the IoT Hub.") from error
    except ClientException as error:
        raise HubUnavailableError("The IoT Hub cannot be reached.") from error


@contextmanager
def condition_errors(first: int) -> Iterator[None]:
    """Raise ConditionError for a query that the hub rejects, or a cursor it no longer knows.

    `first` is the position of the caller's condition in the query. Positions in the hub's message
    become positions in the condition.
    """
    try:
        yield
    except HttpOperationError as error:
        if error.response.status_code == requests.codes.bad_request:
            raise ConditionError(_shift_positions(error_message(error), first)) from error
        raise


def refuses_app(error: HttpOperationError) -> bool:
    """Return whether the hub refuses this app, whatever it calls; it may also be suspended."""
    code = error_code(error)
    if error.response.status_code in _REFUSALS:
        return code not in _NOT_OF_THE_APP
    return code == HUB_SUSPENDED


def is_outage(error: HubUnavailableError) -> bool:
    """Return whether the hub failed, refused this app or was not reached; not: it throttled."""
    if isinstance(error, DailyQuotaError):
        return False
    cause = error.__cause__
    if isinstance(cause, HttpOperationError):
        return int(cause.response.status_code) != requests.codes.too_many_requests
    return not isinstance(error, UnreadableError)


def is_transient(error: ClientException) -> bool:
    """Return whether the same request may succeed at once: the hub or the connection failed."""
    if isinstance(error, HttpOperationError):
        status = int(error.response.status_code)
        return status >= _SERVER_ERROR or status in _TRANSIENT
    return not isinstance(getattr(error, "inner_exception", None), requests.Timeout)


def _shift_positions(message: str, first: int) -> str:
    def shift(found: re.Match[str]) -> str:
        return f"{found[1]}{max(1, int(found[2]) - first)}"

    return _POSITION.sub(shift, message)


def error_code(error: HttpOperationError) -> int | None:
    """Return the hub's error code of six digits, or None if the response has none.

    The hub sends it as JSON inside `Message`, as `ErrorCode:<Name>;` at the start of `Message`,
    or as a name in the header `iothub-errorcode`. The three forms are observed, not documented.
    """
    message = _message(error)
    nested = _parse(message)
    if isinstance(nested, dict):
        code = nested.get("errorCode")
        if isinstance(code, int):
            return code
    named = re.match(r"ErrorCode:(\w+)", message)
    name = named[1] if named else error.response.headers.get("iothub-errorcode", "")
    return _CODES.get(name)


def error_message(error: HttpOperationError) -> str:
    """Return the hub's message without the name of the error code."""
    message = _message(error)
    nested = _parse(message)
    inner = nested.get("message") if isinstance(nested, dict) else None
    text = inner if isinstance(inner, str) else re.sub(r"^ErrorCode:\w+;", "", message)
    return text[:_MAX_MESSAGE_CHARACTERS] or "the hub rejects the query without a message"


def _message(error: HttpOperationError) -> str:
    body = _parse(error.response.text)
    message = body.get("Message") if isinstance(body, dict) else None
    return message if isinstance(message, str) else ""


def _parse(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None
