"""Read the responses of the API: objects, pages, JSON lines, and refusals."""

import json
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from fleet.exit_codes import (
    CommandError,
    NotFoundError,
    PlanChangedError,
    RefusedError,
    SignInError,
    UsageError,
)
from fleet.plain_text import one_line

Json = dict[str, Any]

MAX_PAUSE_SECONDS = 15.0
_MAX_SHOWN_ERRORS = 20
_TEMPORARY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
# With these, a gateway has not reached the service, or the service refused to begin.
_NOT_BEGUN = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


class _Fields(dict[str, Any]):
    """An object of a response; a field that is missing ends the command with a sentence."""

    def __missing__(self, name: str) -> Any:
        raise UsageError(
            f"The response of the API has no field {name!r}: is this Fleet Rollout, and a release"
            " that this fleet knows?"
        )


class LostError(Exception):
    """An attempt failed, and another one may succeed; `after` is in seconds, None: not known."""

    def __init__(self, message: str, *, may_have_begun: bool, after: float | None = None) -> None:
        super().__init__(message)
        self.may_have_begun = may_have_begun
        self.after = after


def items_of(page: Json) -> list[Json]:
    """Return the items of a page. Raises UsageError if it has none such."""
    items = page["value"]
    if isinstance(items, list) and all(isinstance(item, dict) for item in items):
        return items
    raise UsageError("The response of the API is not a list of objects.")


def cursor_of(page: Json, before: str | None) -> str | None:
    """Return the cursor of the next page, or None if this is the last one.

    `before` is the cursor of this page. Raises UsageError if the pages would never end.
    """
    query = urlsplit(str(page.get("nextLink") or "")).query
    cursor = next(iter(parse_qs(query).get("cursor", [])), None)
    if cursor is not None and cursor == before:
        raise UsageError("The API returns the same page again and again.")
    return cursor


def read_json(response: httpx.Response, api: str) -> Json:
    if response.is_success:
        try:
            found = json.loads(response.content, object_pairs_hook=_Fields)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return found
        raise not_the_api(api)
    raise _to_raise(response, api)


def read_json_lines(response: httpx.Response, api: str) -> Json:
    """Return the objects of a response in JSON lines, as `lines`."""
    if not response.is_success:
        raise _to_raise(response, api)
    try:
        found = [json.loads(line) for line in response.content.splitlines()]
    except (ValueError, RecursionError):
        raise not_the_api(api) from None
    if found and all(isinstance(line, dict) and "kind" in line for line in found):
        return {"lines": found}
    raise not_the_api(api)


def _to_raise(response: httpx.Response, api: str) -> Exception:
    """Return the error for a response that is not a success."""
    status = response.status_code
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TEMPORARY:
        return LostError(
            _describe(response),
            may_have_begun=status not in _NOT_BEGUN,
            after=_retry_after(response.headers.get("Retry-After")),
        )
    return _to_error(response, api)


def _to_error(response: httpx.Response, api: str) -> CommandError:
    status, problem = response.status_code, _problem(response)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return SignInError(
            f"{api} refuses the sign-in ({status}): the key or token is missing, wrong or expired."
            " Set FLEET_KEY, --key or a profile."
        )
    if response.is_redirect or problem is None:
        return not_the_api(api, status)
    if str(problem.get("type", "")).endswith("plan-changed"):
        return PlanChangedError(_describe(response))
    if status == HTTPStatus.NOT_FOUND:
        return NotFoundError(_describe(response))
    return RefusedError(_describe(response))


def not_the_api(api: str, status: int | None = None) -> CommandError:
    said = "what it returns is not JSON" if status is None else f"it responds {status}"
    return UsageError(f"{api} is not the API of Fleet Rollout: {said}. It usually ends with /api.")


def _problem(response: httpx.Response) -> Json | None:
    try:
        found = response.json()
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("detail"), str) else None


def _describe(response: httpx.Response) -> str:
    """Return problem details (RFC 9457) as lines; only the status of any other response."""
    problem = _problem(response)
    if problem is None:
        return f"The service responds {response.status_code} {response.reason_phrase}."
    listed = problem.get("errors")
    errors = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    lines = [f"{problem.get('title', 'Refused')}: {problem['detail']}"]
    lines += [
        f"  {item.get('pointer')}: {item.get('detail')}" for item in errors[:_MAX_SHOWN_ERRORS]
    ]
    if len(errors) > _MAX_SHOWN_ERRORS:
        lines.append(f"  and {len(errors) - _MAX_SHOWN_ERRORS} more")
    return "\n".join(line[:2] + one_line(line[2:]) for line in lines)


def _retry_after(value: str | None) -> float | None:
    """Parse Retry-After (RFC 9110, section 10.2.3); return seconds, or None if it is missing."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return min(float(value), MAX_PAUSE_SECONDS)
    try:
        seconds = parsedate_to_datetime(value).timestamp() - time.time()
    except ValueError:
        return None
    return min(max(0.0, seconds), MAX_PAUSE_SECONDS)
