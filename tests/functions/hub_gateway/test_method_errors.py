"""What each of the hub's refusals means for the device (both forms of its error body)."""

import json
from typing import Any

import pytest
import requests
from msrest.exceptions import HttpOperationError

from functions.hub_gateway import method_errors
from functions.rollouts.model.method_outcome import (
    DeviceOffline,
    HubRefused,
    Lost,
    NotDelivered,
)


class Answer:
    """As much of msrest's response as the error takes."""

    def __init__(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self.status_code = status
        self.text = body if isinstance(body, str) else json.dumps(body)
        self.headers = headers or {}
        self.reason = "because"

    def raise_for_status(self) -> None:
        raise requests.HTTPError("because")


def refusal(status: int, body: Any, headers: dict[str, str] | None = None) -> HttpOperationError:
    answer: Any = Answer(status, body, headers)
    deserialize: Any = lambda *_: None  # noqa: E731 - the SDK gives one, and does not use it
    return HttpOperationError(deserialize, answer)


def nested(code: int) -> dict[str, str]:
    return {"Message": json.dumps({"errorCode": code, "message": "m"}), "ExceptionMessage": ""}


def named(name: str) -> dict[str, str]:
    return {"Message": f"ErrorCode:{name};text", "ExceptionMessage": "Tracking ID:x"}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (refusal(404, nested(404103)), DeviceOffline),
        (refusal(404, named("DeviceNotOnline")), DeviceOffline),
        (refusal(404, "", {"iothub-errorcode": "DeviceNotOnline"}), DeviceOffline),
        (refusal(404, nested(404001)), HubRefused),
        (refusal(404, named("DeviceNotFound")), HubRefused),
        (refusal(404, nested(404104)), Lost),
        (refusal(404, "not json"), Lost),
        (refusal(504, nested(504101)), Lost),
        (refusal(500, ""), Lost),
        (refusal(503, {"Message": 7}), Lost),
        (refusal(429, named("ThrottlingException")), NotDelivered),
        (refusal(403, nested(403002)), NotDelivered),
        (refusal(401, ""), NotDelivered),
        (refusal(400, named("ArgumentInvalid")), HubRefused),
        (refusal(413, ""), HubRefused),
    ],
)
def test_a_refusal_is_told_apart_by_whether_it_reached_the_device(
    error: HttpOperationError, kind: type
) -> None:
    assert isinstance(method_errors.outcome_of(error), kind)
