"""HTTP responses: JSON, and every error as problem details (RFC 9457)."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from azure.functions import HttpResponse

from functions.errors import (
    ConflictError,
    EncodingError,
    FieldsError,
    FleetRolloutError,
    InvalidError,
    LengthRequiredError,
    LostRaceError,
    MalformedError,
    PlanChangedError,
    SettingsError,
    StaleError,
    TooLargeError,
    UnavailableError,
    UnknownError,
)
from functions.wire.problem import FieldProblemSchema, ProblemSchema
from functions.wire.schema import Schema

RETRY_AFTER_SECONDS = 5
RETRY_AFTER = {"Retry-After": str(RETRY_AFTER_SECONDS)}
PROBLEM_JSON = "application/problem+json"

# Class, status, name in `type`, and title. The first class that fits is used.
_PROBLEMS: tuple[tuple[type[FleetRolloutError], HTTPStatus, str, str], ...] = (
    (MalformedError, HTTPStatus.BAD_REQUEST, "malformed", "The body is not JSON"),
    (
        LengthRequiredError,
        HTTPStatus.LENGTH_REQUIRED,
        "length-required",
        "The body has no Content-Length",
    ),
    (
        EncodingError,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "encoding",
        "The body's Content-Encoding is not supported",
    ),
    (TooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", "The body is too large"),
    (
        StaleError,
        HTTPStatus.PRECONDITION_FAILED,
        "stale",
        "Another revision is stored",
    ),
    (InvalidError, HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", "The request is invalid"),
    (UnknownError, HTTPStatus.NOT_FOUND, "unknown", "Not found"),
    (
        LostRaceError,
        HTTPStatus.CONFLICT,
        "conflict",
        "Changed by another request; read it again and retry",
    ),
    (PlanChangedError, HTTPStatus.CONFLICT, "plan-changed", "The plan has changed"),
    (ConflictError, HTTPStatus.CONFLICT, "conflict", "The current state does not allow this"),
    (
        UnavailableError,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "unavailable",
        "Temporarily unavailable; try again later",
    ),
    (
        SettingsError,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "settings",
        "The app's settings are incomplete or invalid",
    ),
)


# Headers by class of the error; of a 415 see RFC 9110, section 12.5.3.
_HEADERS: tuple[tuple[type[FleetRolloutError], Mapping[str, str]], ...] = (
    (UnavailableError, RETRY_AFTER),
    (EncodingError, {"Accept-Encoding": "identity"}),
)


def json_response(
    body: Schema | Mapping[str, Any],
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    mimetype: str = "application/json",
) -> HttpResponse:
    """Return a response with `body` as JSON."""
    value = body.to_json_value() if isinstance(body, Schema) else body
    text = json.dumps(value, separators=(",", ":"))
    return HttpResponse(text, status_code=status, headers=headers, mimetype=mimetype)


def problem_response(error: FleetRolloutError) -> HttpResponse:
    """Return the problem details of an error; raise the error if no kind of problem fits."""
    for kind, status, name, title in _PROBLEMS:
        if isinstance(error, kind):
            fields = error.fields if isinstance(error, FieldsError) else ()
            body = ProblemSchema.model_construct(
                type=problem_type(name),
                title=title,
                status=int(status),
                detail=str(error),
                errors=[FieldProblemSchema.of(field) for field in fields] or None,
            )
            headers = next((more for of, more in _HEADERS if isinstance(error, of)), None)
            return json_response(body, status, headers, PROBLEM_JSON)
    raise error


def problem_type(name: str) -> str:
    """Return the URI of a kind of problem."""
    return f"urn:fleet-rollout:problem:{name}"
