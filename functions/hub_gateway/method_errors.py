"""Decide from a failed call of a direct method whether the method reached the device."""

import ssl
from collections.abc import Iterable

import requests
import urllib3.exceptions
from azure.core.exceptions import AzureError, ClientAuthenticationError
from msrest.exceptions import ClientRequestError, HttpOperationError

from functions.hub_gateway.sdk_errors import (
    DEVICE_DISABLED,
    DEVICE_NOT_FOUND,
    DEVICE_NOT_ONLINE,
    DEVICE_WAS_CALLED,
    QUOTA_EXCEEDED,
    error_code,
    refuses_app,
)
from functions.rollouts.model.method_outcome import (
    DeviceOffline,
    DeviceUnknown,
    HubRefused,
    Lost,
    MethodOutcome,
    NotDelivered,
)

# Calls of a batch that fail at the hub, without a response, after which no other is sent.
MAX_FAILED_CALLS = 10
# The hub refuses before it calls the device: authorization, quotas, throttling.
_REFUSED_FOR_NOW = frozenset({401, 403, 429})
# The request itself is invalid, so the hub will refuse it again.
_REFUSED = frozenset({400, 413})


def outcome_of(error: Exception) -> MethodOutcome:
    """Return the outcome that an error of the SDK stands for."""
    if isinstance(error, HttpOperationError):
        return _outcome_of_status(error)
    if isinstance(error, AzureError):
        is_refusal = isinstance(error, ClientAuthenticationError)
        return NotDelivered("This app could not sign in to the hub.", access_refused=is_refusal)
    if isinstance(error, ClientRequestError):
        if _was_never_sent(error.inner_exception):
            return NotDelivered("The hub could not be reached.")
        return Lost("The connection to the hub broke before the response.", hub_failed=True)
    return Lost("The hub's response is invalid.")


def is_outage(outcome: MethodOutcome) -> bool:
    """Return whether the hub failed, refused this app or was not reached; not: it throttled."""
    if isinstance(outcome, NotDelivered):
        return not (outcome.throttled or outcome.day_used_up)
    return isinstance(outcome, Lost) and outcome.hub_failed


def hub_fails(outcomes: Iterable[MethodOutcome]) -> bool:
    """Return whether the hub failed the first calls of a batch, so that the rest is not sent."""
    ended = list(outcomes)
    return len(ended) >= MAX_FAILED_CALLS and all(
        isinstance(item, NotDelivered) or (isinstance(item, Lost) and item.hub_failed)
        for item in ended
    )


def _outcome_of_status(error: HttpOperationError) -> MethodOutcome:
    """Return the outcome that a response with another status than 200 stands for."""
    status = int(error.response.status_code)
    code = error_code(error)
    if code == DEVICE_NOT_ONLINE:
        return DeviceOffline()
    if code in {DEVICE_NOT_FOUND, DEVICE_DISABLED}:
        return DeviceUnknown()
    if status in _REFUSED_FOR_NOW or refuses_app(error):
        return _refused_for_now(error)
    if status in _REFUSED:
        return HubRefused(f"The hub refused the method ({code or status}).")
    # The device may or may not have received the method.
    if code in DEVICE_WAS_CALLED:
        return Lost(f"No response from the device ({code}).")
    return Lost(f"The hub failed ({code or status}).", hub_failed=True)


def _refused_for_now(error: HttpOperationError) -> NotDelivered:
    """Return the outcome of a refusal: of this app, by a rate limit, or by the day's messages."""
    status, code = int(error.response.status_code), error_code(error)
    throttled = status == requests.codes.too_many_requests
    verb = "throttled" if throttled else "refused"
    return NotDelivered(
        f"The hub {verb} the method ({code or status}).",
        throttled=throttled,
        day_used_up=code == QUOTA_EXCEEDED,
        access_refused=refuses_app(error),
    )


def _was_never_sent(error: BaseException | None) -> bool:
    """Return whether a request failed before its first byte could reach the hub.

    True for a name that does not resolve, a refused connection and an untrusted certificate;
    False for a connection or a TLS session that broke later.
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
