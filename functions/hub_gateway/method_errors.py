"""What a failed direct method call means: did the method reach the device?

Error codes: Microsoft Learn, "Understand and resolve Azure IoT Hub errors". The hub wraps its
code in one of two ways: a JSON text inside `Message`, or `ErrorCode:<Name>;` at its start.
"""

import json
import re
import ssl
from typing import Any

import requests
import urllib3.exceptions
from azure.core.exceptions import AzureError
from msrest.exceptions import ClientRequestError, HttpOperationError

from functions.rollouts.model.method_outcome import (
    DeviceOffline,
    HubRefused,
    Lost,
    MethodOutcome,
    NotDelivered,
)

DEVICE_NOT_FOUND = 404001
DEVICE_NOT_ONLINE = 404103

_NAMES = {
    "DeviceNotFound": DEVICE_NOT_FOUND,
    "DeviceNotOnline": DEVICE_NOT_ONLINE,
    "GatewayTimeout": 504101,
}
# The hub turned the call away at its door: authorization, quotas, throttling.
_TURNED_AWAY = frozenset({401, 403, 429})
# The request itself is unfit, and will be next time.
_UNFIT = frozenset({400, 413})
_TEXT_AT_MOST = 300


def outcome_of(error: Exception) -> MethodOutcome:
    """The outcome behind an error of the SDK."""
    if isinstance(error, HttpOperationError):
        return _refusal(error)
    if isinstance(error, AzureError):
        return NotDelivered("This app could not sign in to the hub.")
    if isinstance(error, ClientRequestError):
        if _never_sent(error.inner_exception):
            return NotDelivered("The hub could not be reached.")
        return Lost("The connection to the hub broke before the answer.")
    return Lost("The hub's answer could not be read.")


def _refusal(error: HttpOperationError) -> MethodOutcome:
    """The outcome behind an answer of the hub other than 200."""
    status = int(error.response.status_code)
    code = error_code(error)
    if code == DEVICE_NOT_ONLINE:
        return DeviceOffline()
    if code == DEVICE_NOT_FOUND:
        return HubRefused("The hub does not know the device, or it is disabled.")
    if status in _TURNED_AWAY:
        message = f"The hub turned the method away ({code or status})."
        return NotDelivered(message, throttled=status == requests.codes.too_many_requests)
    if status in _UNFIT:
        return HubRefused(f"The hub refused the method ({code or status}).")
    # 404104, 504101, 5xx: somewhere on the way, or after it.
    return Lost(f"No answer from the device ({code or status}).")


def error_code(error: HttpOperationError) -> int | None:
    """The hub's own error code, six digits, or None when the answer holds none."""
    message = _message(error)
    nested = _json(message)
    if isinstance(nested, dict):
        code = nested.get("errorCode")
        if isinstance(code, int):
            return code
    named = re.match(r"ErrorCode:(\w+)", message)
    name = named[1] if named else error.response.headers.get("iothub-errorcode", "")
    return _NAMES.get(name)


def text(error: HttpOperationError) -> str:
    """What the hub says in words, without its error code's name."""
    message = _message(error)
    nested = _json(message)
    words = nested.get("message") if isinstance(nested, dict) else None
    said = words if isinstance(words, str) else re.sub(r"^ErrorCode:\w+;", "", message)
    return said[:_TEXT_AT_MOST] or "the hub refuses it"


def _never_sent(error: BaseException | None) -> bool:
    """Whether a request failed before its first byte could reach the hub.

    True for a name that does not resolve, a refused connection, a certificate nobody vouches
    for; not for a connection, or a TLS session, that broke later.
    """
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    cause = error.args[0] if isinstance(error, requests.ConnectionError) and error.args else None
    reason = getattr(cause, "reason", None)
    if isinstance(reason, urllib3.exceptions.SSLError) and reason.args:
        return isinstance(reason.args[0], ssl.SSLCertVerificationError)
    return isinstance(
        reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError
    )


def _message(error: HttpOperationError) -> str:
    body = _json(error.response.text)
    message = body.get("Message") if isinstance(body, dict) else None
    return message if isinstance(message, str) else ""


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None
