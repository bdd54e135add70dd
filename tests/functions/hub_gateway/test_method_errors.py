"""Test the outcomes of the hub's error responses, in all forms of its error body."""

import json
from typing import Any

import pytest
import requests
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError
from msrest.exceptions import HttpOperationError

from functions.errors import HubRefusedError, HubUnavailableError
from functions.hub_gateway import method_errors
from functions.hub_gateway.sdk_errors import hub_errors
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


REFUSALS = [
    (error_response(401, nested(401002)), True),
    (error_response(401, named("IotHubUnauthorized")), True),  # an expired token, a wrong key
    (error_response(401, ""), True),
    (error_response(403, ""), True),  # an IP filter; its code is not documented
    (error_response(403, nested(403010)), True),  # not allowed in the hub's tier
    (error_response(400, nested(400020)), True),  # the hub is suspended
    (error_response(403, nested(403002)), False),  # the day's messages
    (error_response(403, nested(403003)), False),
    (error_response(403, nested(403004)), False),
    (error_response(403, nested(403006)), False),
    (error_response(403, nested(403800)), False),  # methods in flight of one device
    (error_response(429, named("ThrottlingException")), False),
    (error_response(503, ""), False),
]


@pytest.mark.parametrize(("error", "refuses"), REFUSALS)
def test_a_refusal_of_the_app_is_told_from_one_of_a_device_or_a_quota(
    error: HttpOperationError, refuses: bool
) -> None:
    outcome = method_errors.outcome_of(error)
    assert (isinstance(outcome, NotDelivered) and outcome.access_refused) is refuses
    with pytest.raises(HubUnavailableError) as caught, hub_errors():
        raise error
    assert isinstance(caught.value, HubRefusedError) is refuses


@pytest.mark.parametrize(
    ("error", "refuses"),
    [(ClientAuthenticationError("no identity"), True), (ServiceRequestError("no route"), False)],
)
def test_a_refused_token_is_a_refusal_and_a_token_service_out_of_reach_is_not(
    error: AzureError, refuses: bool
) -> None:
    outcome = method_errors.outcome_of(error)
    assert isinstance(outcome, NotDelivered)
    assert outcome.access_refused is refuses
    with pytest.raises(HubUnavailableError) as caught, hub_errors():
        raise error
    assert isinstance(caught.value, HubRefusedError) is refuses
