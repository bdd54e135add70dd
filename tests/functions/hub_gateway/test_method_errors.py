"""Test the outcomes of the hub's error responses, in all forms of its error body."""

import json
from typing import Any

import pytest
import requests
from msrest.exceptions import HttpOperationError

from functions.hub_gateway import method_errors
from functions.rollouts.model.method_outcome import (
    DeviceOffline,
    DeviceUnknown,
    HubRefused,
    Lost,
    NotDelivered,
)


class Response:
    """The part of msrest's response that the error reads."""

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self.status_code = status
        self.text = body if isinstance(body, str) else json.dumps(body)
        self.headers = headers or {}
        self.reason = "because"

    def raise_for_status(self) -> None:
        raise requests.HTTPError("because")


def error_response(
    status: int, body: Any, headers: dict[str, str] | None = None
) -> HttpOperationError:
    response: Any = Response(status, body, headers)
    deserialize: Any = lambda *_: None  # noqa: E731 - the SDK passes one and does not use it
    return HttpOperationError(deserialize, response)


def nested(code: int) -> dict[str, str]:
    return {"Message": json.dumps({"errorCode": code, "message": "m"}), "ExceptionMessage": ""}


def named(name: str) -> dict[str, str]:
    return {"Message": f"ErrorCode:{name};text", "ExceptionMessage": "Tracking ID:x"}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (error_response(404, nested(404103)), DeviceOffline),
        (error_response(404, named("DeviceNotOnline")), DeviceOffline),
        (error_response(404, "", {"iothub-errorcode": "DeviceNotOnline"}), DeviceOffline),
        (error_response(404, nested(404001)), DeviceUnknown),
        (error_response(404, named("DeviceNotFound")), DeviceUnknown),
        (error_response(404, nested(404104)), Lost),
        (error_response(404, "not json"), Lost),
        (error_response(504, nested(504101)), Lost),
        (error_response(500, ""), Lost),
        (error_response(503, {"Message": 7}), Lost),
        (error_response(429, named("ThrottlingException")), NotDelivered),
        (error_response(403, nested(403002)), NotDelivered),
        (error_response(401, ""), NotDelivered),
        (error_response(400, named("ArgumentInvalid")), HubRefused),
        (error_response(413, ""), HubRefused),
    ],
)
def test_an_error_response_says_whether_the_method_reached_the_device(
    error: HttpOperationError, kind: type
) -> None:
    assert isinstance(method_errors.outcome_of(error), kind)
