"""Responses of the service API, with the two forms of errors.

Form A, for all operations but direct methods: `Message` is text, "ErrorCode:Name;explanation", and
the header `iothub-errorcode` has the name too. Form B, for direct methods: `Message` is a JSON
document as text. Neither is documented; both are as quoted in the issue trackers of the Azure IoT
SDKs.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from simulator.hub.model.clock import timestamp
from simulator.hub.model.errors import HubError
from simulator.hub.model.json_types import Json, to_json


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response; an empty body has no content type."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


def json_response(value: Json, *, etag: str | None = None) -> Response:
    """Return 200 with a JSON body. Only the ETag header has quotes."""
    headers = {} if etag is None else {"ETag": f'"{etag}"'}
    return Response(200, to_json(value), headers)


def form_a(error: HubError, now: float) -> Response:
    body: Json = {
        "Message": f"ErrorCode:{error.code.wire_name};{error.message}",
        "ExceptionMessage": f"Tracking ID:{_tracking_id(now)}",
    }
    return Response(error.code.http_status, to_json(body), _error_headers(error))


def form_b(error: HubError, now: float) -> Response:
    message: Json = {
        "errorCode": error.code.value,
        "trackingId": _tracking_id(now),
        "message": error.message,
        "info": dict(error.info),
        "timestampUtc": timestamp(now),
    }
    body: Json = {"Message": to_json(message).decode(), "ExceptionMessage": ""}
    return Response(error.code.http_status, to_json(body), _error_headers(error))


def _error_headers(error: HubError) -> dict[str, str]:
    headers = {"iothub-errorcode": error.code.wire_name}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    return headers


def _tracking_id(now: float) -> str:
    return f"{secrets.token_hex(16).upper()}-G:0-TimeStamp:{timestamp(now)}"
