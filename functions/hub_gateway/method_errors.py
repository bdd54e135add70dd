"""What a failed direct method call means: did the method reach the device?

Error codes: Microsoft Learn, "Understand and resolve Azure IoT Hub errors". The hub wraps its
code in one of two ways: a JSON text inside `Message`, or `ErrorCode:<Name>;` at its start.
"""

import json
import re
from typing import Any

from msrest.exceptions import HttpOperationError

from functions.rollouts.method_outcome import (
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


def outcome_of(error: HttpOperationError) -> MethodOutcome:
    """The outcome behind an answer of the hub other than 200."""
    status = int(error.response.status_code)
    code = error_code(error)
    if code == DEVICE_NOT_ONLINE:
        return DeviceOffline()
    if code == DEVICE_NOT_FOUND:
        return HubRefused("The hub does not know the device, or it is disabled.")
    if status in _TURNED_AWAY:
        return NotDelivered(f"The hub turned the method away ({code or status}).")
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


def _message(error: HttpOperationError) -> str:
    body = _json(error.response.text)
    message = body.get("Message") if isinstance(body, dict) else None
    return message if isinstance(message, str) else ""


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None
