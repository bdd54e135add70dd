"""Check the messages for invalid bodies."""

import json
from typing import Any

import pytest

from functions.errors import InvalidError
from functions.wire.create_request import parse

FIRMWARE = {"version": "2.4.0", "packageUri": "https://packages.example/fw-2.4.0.bin"}
BODY: dict[str, Any] = {"firmware": FIRMWARE, "target": {"deviceIds": ["thermostat-1"]}}


def refused(**changes: Any) -> InvalidError:
    with pytest.raises(InvalidError) as caught:
        parse(json.dumps(BODY | changes).encode())
    return caught.value


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"hurry": 1}, "is not a known field"),
        ({"target": {}}, "must have either deviceIds or a condition"),
        (
            {"target": {"deviceIds": ["a b"]}},
            "must be 1 to 128 ASCII letters, digits and - . + % _ # * ? ! ( ) , = @ $ ' :",
        ),
        ({"target": {"deviceIds": ["a", "b", "a"]}}, "'a' is already listed at index 0"),
        (
            {"labels": {"a\n": "b"}},
            "the name of the label is invalid: must not contain control characters or invisible",
        ),
        (
            {"startAt": "2026-12-01T02:00:00"},
            "must be an ISO 8601 time with a time zone, such as 2026",
        ),
        ({"startAt": "2026-02-30T00:00:00Z"}, "must be a valid date and time"),
        ({"startAt": "2099-01-01T00:00:00Z"}, "must be within a year from now"),
        (
            {"firmware": FIRMWARE | {"packageUri": "test.com"}},
            "must be an absolute http or https URI with a host",
        ),
    ],
)
def test_an_invalid_request_has_this_message(changes: dict[str, Any], detail: str) -> None:
    (field,) = refused(**changes).fields
    assert field.detail.startswith(detail)


@pytest.mark.parametrize(
    ("strategy", "detail"),
    [
        (
            {"timeout": "1h"},
            "must be an ISO 8601 duration in weeks, days, hours, minutes or seconds, such as PT30S",
        ),
        ({"timeout": "PT0S"}, "must be longer than zero and at most P365D"),
        ({"soak": "P365DT1S"}, "must be at most P365D"),
        ({"successShare": "101%"}, 'must be a share from "0%" to "100%" with at most two'),
        ({"failureGate": {"acceptable": "0%"}}, "must be above 0%"),
        ({"failureGate": {"unacceptable": "100%"}}, "must be below 100%"),
        (
            {"failureGate": {"acceptable": "10%"}},
            "must be 0% < acceptable < unacceptable < 100%",
        ),
        ({"waves": [{"size": 0}]}, "must be from 1 to 1000000 devices"),
        ({"waves": [{"size": "0%"}]}, "must be a number of devices, or a share above 0% such as"),
        (
            {"waves": [{"size": 1, "name": "a"}] * 2},
            "'a' is already the name of the wave at index 0",
        ),
        (
            {"stratifyBy": ["model"]},
            "must be a twin path of letters, digits and _, such as tags.model or",
        ),
        (
            {"window": {"start": "1:00", "end": "02:00", "timezone": "UTC"}},
            'must be a local time such as "01:30"',
        ),
        (
            {"window": {"start": "01:00", "end": "02:00", "timezone": "Mars"}},
            "must be an IANA time zone such as Europe/Berlin",
        ),
        (
            {"window": {"start": "01:00", "end": "02:00", "timezone": "UTC", "days": ["Mon"] * 2}},
            "must name each day once",
        ),
    ],
)
def test_an_invalid_strategy_has_this_message(strategy: dict[str, Any], detail: str) -> None:
    (field,) = refused(strategy=strategy).fields
    assert field.detail.startswith(detail)


def test_all_invalid_fields_are_reported_together() -> None:
    error = refused(hurry=1, labels={"a": 1}, strategy={"timeout": "1h"})
    assert str(error) == "3 fields are invalid."
    pointers = {field.pointer for field in error.fields}
    assert pointers == {"/hurry", "/labels/a", "/strategy/timeout"}


def test_a_message_does_not_repeat_the_invalid_value() -> None:
    error = refused(planHash=["not to be seen"], strategy={"timeout": "not to be seen"})
    assert "not to be seen" not in repr(error.fields)
