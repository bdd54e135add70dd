"""HTTP answers: JSON, and every error as problem details (RFC 9457)."""

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from azure.functions import HttpRequest, HttpResponse

from functions.errors import (
    ConflictError,
    FleetRolloutError,
    InvalidError,
    LostRaceError,
    MalformedError,
    SettingsError,
    TooLargeError,
    UnavailableError,
    UnknownError,
)

RETRY_AFTER_SECONDS = 5

# The first class that fits decides; `type` and `title` name the kind of problem.
_PROBLEMS: tuple[tuple[type[FleetRolloutError], HTTPStatus, str, str], ...] = (
    (MalformedError, HTTPStatus.BAD_REQUEST, "malformed", "The body is not JSON"),
    (TooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large", "The body is too large"),
    (InvalidError, HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", "The request is not valid"),
    (UnknownError, HTTPStatus.NOT_FOUND, "unknown", "There is no such thing"),
    (LostRaceError, HTTPStatus.CONFLICT, "conflict", "Somebody else was faster"),
    (ConflictError, HTTPStatus.CONFLICT, "conflict", "The present state does not allow this"),
    (UnavailableError, HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "Not available now"),
    (SettingsError, HTTPStatus.SERVICE_UNAVAILABLE, "settings", "This app is not set up"),
)


def answer(handle: Callable[[HttpRequest], HttpResponse], request: HttpRequest) -> HttpResponse:
    """Call `handle`; an error raised on purpose becomes its problem details."""
    try:
        return handle(request)
    except FleetRolloutError as error:
        return problem(error)


async def answer_later(
    handle: Callable[[HttpRequest], Awaitable[HttpResponse]], request: HttpRequest
) -> HttpResponse:
    """The same for a handler that waits."""
    try:
        return await handle(request)
    except FleetRolloutError as error:
        return problem(error)


def json_response(
    body: Mapping[str, Any],
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    mimetype: str = "application/json",
) -> HttpResponse:
    text = json.dumps(body, separators=(",", ":"))
    return HttpResponse(text, status_code=status, headers=headers, mimetype=mimetype)


def problem(error: FleetRolloutError) -> HttpResponse:
    """The problem details of an error; raises it again if it is not one to be shown."""
    for kind, status, name, title in _PROBLEMS:
        if isinstance(error, kind):
            body: dict[str, Any] = {
                "type": f"urn:fleet-rollout:problem:{name}",
                "title": title,
                "status": int(status),
                "detail": str(error),
            }
            if isinstance(error, InvalidError) and error.fields:
                body["errors"] = [
                    {"pointer": field.pointer, "detail": field.detail} for field in error.fields
                ]
            retry = isinstance(error, UnavailableError)
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if retry else None
            return json_response(body, status, headers, "application/problem+json")
    raise error
