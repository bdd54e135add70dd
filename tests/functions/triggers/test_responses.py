"""Problems and pages of lists are as the API describes them."""

import json
from typing import Any

import pytest
from azure.functions import HttpRequest, HttpResponse

from functions import errors
from functions.rollouts.model.rollout import RolloutStatus
from functions.triggers.paging import LIMIT, build_page
from functions.triggers.parameters import ChoiceParameter
from functions.triggers.responses import problem_response
from functions.triggers.route import _convert_errors
from functions.wire.rollout import RolloutsSchema
from tests.functions.triggers.described import validator

PROBLEM = "application/problem+json"
STATUS = ChoiceParameter("status", RolloutStatus)


def body_of(response: HttpResponse, schema: str) -> Any:
    """Return the response's body after checking it against a published schema."""
    body = json.loads(response.get_body())
    validator(schema).validate(body)
    return body


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.MalformedError("so"), 400),
        (errors.UnknownError("so"), 404),
        (errors.ConflictError("so"), 409),
        (errors.LostRaceError("so"), 409),
        (errors.TooLargeError("so"), 413),
        (errors.InvalidError("so"), 422),
        (errors.InvalidError("so", [errors.FieldError("/target", "is empty")]), 422),
        (errors.HubUnavailableError("so"), 503),
        (errors.StorageUnavailableError("so"), 503),
        (errors.InProgressError("so"), 503),
        (errors.SettingsError("so"), 503),
    ],
)
def test_an_error_becomes_a_problem(error: errors.FleetRolloutError, status: int) -> None:
    response = problem_response(error)
    assert (response.status_code, response.mimetype) == (status, PROBLEM)
    body = body_of(response, "Problem")
    assert (body["status"], body["detail"]) == (status, "so")
    assert ("errors" in body) is (getattr(error, "fields", ()) != ())


def test_a_temporary_problem_states_when_to_retry() -> None:
    assert problem_response(errors.HubUnavailableError("so")).headers["Retry-After"] == "5"
    assert "Retry-After" not in problem_response(errors.SettingsError("so")).headers


def test_any_other_error_is_not_turned_into_a_response() -> None:
    def broken(request: HttpRequest) -> HttpResponse:
        raise KeyError(request.url)

    with pytest.raises(KeyError):
        _convert_errors(broken)(HttpRequest("GET", "http://localhost/api/rollouts", body=b""))


def test_the_link_to_the_next_page_keeps_the_filter_and_drops_the_key() -> None:
    request = HttpRequest(
        "GET",
        "http://localhost/api/rollouts?status=running&limit=2&code=a-key",
        params={"status": "running", "limit": "2", "code": "a-key"},
        body=b"",
    )
    page = build_page(RolloutsSchema, request, [], "on & on", STATUS)
    following = "http://localhost/api/rollouts?status=running&limit=2&cursor=on+%26+on"
    assert page.to_json_value() == {"value": [], "nextLink": following}


def test_the_last_page_has_no_link() -> None:
    request = HttpRequest("GET", "http://localhost/api/rollouts", body=b"")
    assert build_page(RolloutsSchema, request, [], None).to_json_value() == {"value": []}


@pytest.mark.parametrize("text", ["0", "101", "-1", "1.0", "٣", " 5", "x", "9" * 5000])
def test_a_limit_is_a_whole_number_from_1_to_100(text: str) -> None:
    request = HttpRequest("GET", "http://localhost/", params={"limit": text}, body=b"")
    with pytest.raises(errors.InvalidError, match="limit must be a whole number from 1 to 100"):
        LIMIT.read(request)


@pytest.mark.parametrize(("text", "limit"), [("1", 1), ("100", 100), ("007", 7)])
def test_a_limit_may_be_1_or_100(text: str, limit: int) -> None:
    request = HttpRequest("GET", "http://localhost/", params={"limit": text}, body=b"")
    assert LIMIT.read(request) == limit
