"""Problems, health and pages are answered as the API's description has them."""

import json
from typing import Any

import jsonschema
import pytest
from azure.functions import HttpRequest, HttpResponse

from functions import errors
from functions.triggers import http_health, openapi, query
from functions.triggers.responses import answer, problem

DOCUMENT: dict[str, Any] = json.loads(json.dumps(openapi.document("http://localhost:7071/api")))
PROBLEM = "application/problem+json"


def shown(response: HttpResponse, schema: str) -> Any:
    """The response's body, which is as the schema with that name says."""
    body = json.loads(response.get_body())
    whole = {"$ref": f"#/components/schemas/{schema}", "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(whole).validate(body)
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
def test_an_error_is_answered_as_a_problem(error: errors.FleetRolloutError, status: int) -> None:
    response = problem(error)
    assert (response.status_code, response.mimetype) == (status, PROBLEM)
    body = shown(response, "Problem")
    assert (body["status"], body["detail"]) == (status, "so")
    assert ("errors" in body) is (getattr(error, "fields", ()) != ())


def test_a_problem_that_may_pass_says_when_to_ask_again() -> None:
    assert problem(errors.HubUnavailableError("so")).headers["Retry-After"] == "5"
    assert "Retry-After" not in problem(errors.SettingsError("so")).headers


def test_an_error_that_nobody_raised_on_purpose_is_not_answered() -> None:
    def broken(request: HttpRequest) -> HttpResponse:
        raise KeyError(request.url)

    with pytest.raises(KeyError):
        answer(broken, HttpRequest("GET", "http://localhost/api/rollouts", body=b""))


def test_health_names_the_part_that_does_not_answer() -> None:
    response = http_health._response({"hub": "failing", "storage": "ok"})  # noqa: SLF001
    assert (response.status_code, response.mimetype) == (503, PROBLEM)
    body = shown(response, "HealthProblem")
    assert body["detail"] == "Not answering: hub."
    assert "Retry-After" in response.headers


def test_health_is_as_it_is_described() -> None:
    response = http_health._response({"hub": "ok", "storage": "ok"})  # noqa: SLF001
    assert response.status_code == 200
    assert shown(response, "HealthAnswer")["status"] == "healthy"


def test_the_next_page_is_asked_for_with_the_same_filter_and_without_the_key() -> None:
    request = HttpRequest(
        "GET",
        "http://localhost/api/rollouts?status=running&limit=2&code=a-key",
        params={"status": "running", "limit": "2", "code": "a-key"},
        body=b"",
    )
    body = query.page_body(request, [], "on & on", "status")
    following = "http://localhost/api/rollouts?status=running&limit=2&cursor=on+%26+on"
    assert body == {"value": [], "nextLink": following}


def test_the_last_page_has_no_link() -> None:
    request = HttpRequest("GET", "http://localhost/api/rollouts", body=b"")
    assert query.page_body(request, [], None) == {"value": []}


@pytest.mark.parametrize("text", ["0", "101", "-1", "1.0", "٣", " 5", "x", "9" * 5000])
def test_a_limit_is_a_whole_number_from_1_to_100(text: str) -> None:
    request = HttpRequest("GET", "http://localhost/", params={"limit": text}, body=b"")
    with pytest.raises(errors.InvalidError, match="limit must be a whole number from 1 to 100"):
        query.limit(request)


@pytest.mark.parametrize(("text", "limit"), [("1", 1), ("100", 100)])
def test_a_limit_may_be_1_or_100(text: str, limit: int) -> None:
    request = HttpRequest("GET", "http://localhost/", params={"limit": text}, body=b"")
    assert query.limit(request) == limit
