"""Read the responses of the HTTP API: JSON, JSON lines, and refusals as errors."""

import json
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx

from fleet.exit_codes import (
    CommandError,
    NotFoundError,
    PlanChangedError,
    RefusedError,
    SignInError,
    UsageError,
)

Json = dict[str, Any]

MAX_PAUSE_SECONDS = 15.0
_MAX_SHOWN_ERRORS = 20
_TEMPORARY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
# With these, a gateway has not reached the service, or the service refused to begin.
_NOT_BEGUN = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


class LostError(Exception):
    """An attempt failed, and another one may succeed; `after` is in seconds, None: not known."""

    def __init__(self, message: str, *, may_have_begun: bool, after: float | None = None) -> None:
        super().__init__(message)
        self.may_have_begun = may_have_begun
        self.after = after


def read_json(response: httpx.Response, api: str) -> Json:
    """Return the object of a response. Raises LostError, CommandError."""
    if response.is_success:
        try:
            found = response.json()
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
        raise not_the_api(api)
    raise _to_raise(response, api)


def read_json_lines(response: httpx.Response, api: str) -> Json:
    """Return the objects of a response in JSON lines, as `lines`. Raises as `read_json`."""
    if not response.is_success:
        raise _to_raise(response, api)
    try:
        found = [json.loads(line) for line in response.content.splitlines()]
    except ValueError:
        raise not_the_api(api) from None
    if found and all(isinstance(line, dict) for line in found):
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
    """Return the error for a response that cannot be one of the API."""
    said = "what it returns is not JSON" if status is None else f"it responds {status}"
    return UsageError(f"{api} is not the API of Fleet Rollout: {said}. It usually ends with /api.")


def _problem(response: httpx.Response) -> Json | None:
    try:
        found = response.json()
    except ValueError:
        return None
    return found if isinstance(found, dict) and "detail" in found else None


def _describe(response: httpx.Response) -> str:
    """Return problem details (RFC 9457) as lines; only the status of any other response."""
    problem = _problem(response)
    if problem is None:
        return f"The service responds {response.status_code} {response.reason_phrase}."
    errors = problem.get("errors") or []
    lines = [f"{problem.get('title', 'Refused')}: {problem['detail']}"]
    lines += [f"  {item['pointer']}: {item['detail']}" for item in errors[:_MAX_SHOWN_ERRORS]]
    if len(errors) > _MAX_SHOWN_ERRORS:
        lines.append(f"  and {len(errors) - _MAX_SHOWN_ERRORS} more")
    return "\n".join(lines)


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
