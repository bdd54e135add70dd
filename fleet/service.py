"""The HTTP API as a client sees it: requests, repeats after lost connections, and refusals."""

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from fleet.connection import Connection
from fleet.exit_codes import (
    CommandError,
    NotFoundError,
    PlanChangedError,
    RefusedError,
    SignInError,
    UnreachableError,
    UsageError,
)

Json = dict[str, Any]

RESPONSE_SECONDS = 30.0
LONG_RESPONSE_SECONDS = 90.0  # more, for a response of some megabytes
FIRST_PAUSE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 15.0
_MAX_SHOWN_ERRORS = 20
_TEMPORARY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
# With these, a gateway has not reached the service, or the service refused to begin.
_NOT_BEGUN = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


class _LostError(Exception):
    """An attempt failed, and another one may succeed; `after` is in seconds, None: not known."""

    def __init__(self, message: str, *, may_have_begun: bool, after: float | None = None) -> None:
        super().__init__(message)
        self.may_have_begun = may_have_begun
        self.after = after


def make_transport() -> httpx.BaseTransport | None:
    """Return what carries requests; None: httpx's own. Tests replace it."""
    return None


class Service:
    """The API behind a connection. Lost requests are repeated for `patience` seconds."""

    def __init__(self, connection: Connection, patience: float) -> None:
        self._connection = connection
        self._patience = patience
        self._secrets: list[str] = []  # the key and the token of the latest request
        self._client = httpx.Client(transport=make_transport(), follow_redirects=False)

    @property
    def api(self) -> str:
        return self._connection.api

    def get(self, path: str, params: Mapping[str, Any] | None = None, seconds: float = 0) -> Json:
        """Read; the service may take `seconds` more than usual before it responds."""
        return self._call("GET", path, params=params, seconds=seconds)

    def send(
        self,
        method: str,
        path: str,
        body: Json,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        """Change something.

        With an idempotency key, a lost request is repeated. Without one, it is repeated only if
        the service cannot have begun it.
        """
        sent = dict(headers or {}) if key is None else {**(headers or {}), "Idempotency-Key": key}
        return self._call(method, path, body=body, headers=sent, is_repeatable=key is not None)

    def pages(
        self, path: str, params: Mapping[str, Any], limit: int | None = None
    ) -> Iterator[Json]:
        """Yield the items of a list, page after page, at most `limit`."""
        query, count = dict(params), 0
        while True:
            page = self.get(path, query)
            for item in page["value"]:
                if count == limit:
                    return
                count += 1
                yield item
            cursor = cursor_of(page)
            if cursor is None or count == limit:
                return
            # Only the cursor is used: the key must go to no other address than the given one.
            query = {**params, "cursor": cursor}

    def json_lines(self, path: str) -> Iterator[Json]:
        """Yield the JSON lines of a response, and of those that continue it."""
        query: dict[str, Any] | None = {}
        while query is not None:
            found = self._call(
                "GET",
                path,
                params=query,
                headers={"Accept": "application/x-ndjson"},
                seconds=LONG_RESPONSE_SECONDS,
                read=_read_lines,
            )
            query = None
            for line in found["lines"]:
                if line.get("kind") != "more":
                    yield line
                elif (cursor := cursor_of(line)) is not None:
                    query = {"cursor": cursor}  # and no other part of the link, as in `pages`
                else:
                    raise _not_the_api(self.api)

    def _call(self, method: str, path: str, *, is_repeatable: bool = True, **more: Any) -> Json:
        pause, deadline = FIRST_PAUSE_SECONDS, time.monotonic() + self._patience
        while True:
            try:
                return self._call_once(method, path, **more)
            except _LostError as error:
                if error.may_have_begun and method != "GET" and not is_repeatable:
                    raise UnreachableError(
                        f"{error} The service may have done it: check with fleet show."
                    ) from None
                after = error.after if error.after is not None else pause * random.uniform(0.5, 1)
                if time.monotonic() + after > deadline:
                    raise UnreachableError(str(error)) from None
            time.sleep(after)
            pause = min(2 * pause, MAX_PAUSE_SECONDS)

    def _call_once(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = 0,
        read: Callable[[httpx.Response, str], Json] | None = None,
    ) -> Json:
        sent = {**self._sign_in(), "Accept": "application/json", **(headers or {})}
        try:
            response = self._client.request(
                method,
                self.api + path,
                params={k: v for k, v in (params or {}).items() if v is not None},
                json=body,
                headers=sent,
                timeout=httpx.Timeout(RESPONSE_SECONDS, read=RESPONSE_SECONDS + seconds),
            )
        except httpx.TransportError as error:
            raise self._lost(error) from None
        return (read or _read)(response, self.api)

    def _sign_in(self) -> dict[str, str]:
        try:
            headers = self._connection.headers()
        except UnreachableError as error:
            raise _LostError(str(error), may_have_begun=False) from None
        self._secrets = [value.removeprefix("Bearer ") for value in headers.values()]
        return headers

    def _lost(self, error: httpx.TransportError) -> _LostError:
        begun = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        detail = self.hide(str(error)) or type(error).__name__
        return _LostError(f"{self.api} cannot be reached: {detail}.", may_have_begun=begun)

    def hide(self, text: str) -> str:
        """Return a text without the key and the token."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def cursor_of(page: Json) -> str | None:
    """Return the cursor of the next page, or None if this is the last one."""
    query = urlsplit(page.get("nextLink") or "").query
    return next(iter(parse_qs(query).get("cursor", [])), None)


def quoted(text: str) -> str:
    """Escape a text for one part of a path."""
    return quote(text, safe="")


def rollout_path(rollout_id: str, more: str = "") -> str:
    return f"/rollouts/{quoted(rollout_id)}{more}"


def _read(response: httpx.Response, api: str) -> Json:
    if response.is_success:
        try:
            found = response.json()
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
        raise _not_the_api(api)
    raise _to_raise(response, api)


def _read_lines(response: httpx.Response, api: str) -> Json:
    """Return the objects of a response in JSON lines, as `lines`."""
    if not response.is_success:
        raise _to_raise(response, api)
    try:
        found = [json.loads(line) for line in response.content.splitlines()]
    except ValueError:
        raise _not_the_api(api) from None
    if found and all(isinstance(line, dict) for line in found):
        return {"lines": found}
    raise _not_the_api(api)


def _to_raise(response: httpx.Response, api: str) -> Exception:
    """Return the error for a response that is not a success."""
    status = response.status_code
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TEMPORARY:
        return _LostError(
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
        return _not_the_api(api, status)
    if str(problem.get("type", "")).endswith("plan-changed"):
        return PlanChangedError(_describe(response))
    if status == HTTPStatus.NOT_FOUND:
        return NotFoundError(_describe(response))
    return RefusedError(_describe(response))


def _not_the_api(api: str, status: int | None = None) -> CommandError:
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
