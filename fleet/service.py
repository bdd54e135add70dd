"""The HTTP API as a client sees it: requests, and repeats after lost connections."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from fleet.connection import Connection
from fleet.exit_codes import UnreachableError, UsageError
from fleet.plain_text import make_plain
from fleet.responses import (
    MAX_PAUSE_SECONDS,
    Json,
    LostError,
    cursor_of,
    items_of,
    not_the_api,
    read_json,
    read_json_lines,
)

RESPONSE_SECONDS = 30.0
LONG_RESPONSE_SECONDS = 90.0  # more, for a response of some megabytes
FIRST_PAUSE_SECONDS = 0.5


def make_transport() -> httpx.BaseTransport | None:
    """Return what carries requests; None: httpx's own. Tests replace it."""
    return None


class Service:
    """The API behind a connection. Lost requests are repeated for `patience` seconds.

    With `is_plain`, texts come without control characters, to be shown to people. Raises UsageError
    if the proxy or the certificates of the environment cannot be used.
    """

    def __init__(self, connection: Connection, patience: float, *, is_plain: bool = True) -> None:
        self._is_plain = is_plain
        self._connection = connection
        self._patience = patience
        self._secrets: list[str] = []  # the key and the token of the latest request
        try:
            self._client = httpx.Client(transport=make_transport(), follow_redirects=False)
        except (ImportError, OSError, ValueError) as error:
            raise UsageError(
                "The proxy or the certificates of the environment cannot be used (HTTPS_PROXY,"
                f" ALL_PROXY, SSL_CERT_FILE, SSL_CERT_DIR): {error}"
            ) from None

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
        the service cannot have begun it. Raises UsageError for a key that no header can hold.
        """
        if key is not None and not (key.isascii() and key.isprintable()):
            raise UsageError(f"The idempotency key must be printable ASCII, not {key!r}.")
        sent = dict(headers or {}) if key is None else {**(headers or {}), "Idempotency-Key": key}
        return self._call(method, path, body=body, headers=sent, is_repeatable=key is not None)

    def pages(
        self, path: str, params: Mapping[str, Any], limit: int | None = None
    ) -> Iterator[Json]:
        """Yield the items of a list, page after page, at most `limit`."""
        query, count = dict(params), 0
        while True:
            page = self.get(path, query)
            for item in items_of(page):
                if count == limit:
                    return
                count += 1
                yield item
            cursor = cursor_of(page, query.get("cursor"))
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
                read=read_json_lines,
            )
            before, query = query.get("cursor"), None
            for line in found["lines"]:
                if line.get("kind") != "more":
                    yield line
                elif (cursor := cursor_of(line, before)) is not None:
                    query = {"cursor": cursor}  # and no other part of the link, as in `pages`
                else:
                    raise not_the_api(self.api)

    def _call(self, method: str, path: str, *, is_repeatable: bool = True, **more: Any) -> Json:
        pause, deadline = FIRST_PAUSE_SECONDS, time.monotonic() + self._patience
        while True:
            try:
                return self._call_once(method, path, **more)
            except LostError as error:
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
        except (httpx.InvalidURL, UnicodeError):
            raise UsageError(f"{self.api} is not a valid URL.") from None
        except httpx.RequestError as error:
            raise self._lost(error) from None
        if read is not None:
            return read(response, self.api)
        found = read_json(response, self.api)
        return make_plain(found) if self._is_plain else found

    def _sign_in(self) -> dict[str, str]:
        try:
            headers = self._connection.headers()
        except UnreachableError as error:
            raise LostError(str(error), may_have_begun=False) from None
        self._secrets = [value.removeprefix("Bearer ") for value in headers.values()]
        return headers

    def _lost(self, error: httpx.RequestError) -> LostError:
        begun = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        detail = self.hide(str(error)) or type(error).__name__
        return LostError(f"{self.api} cannot be reached: {detail}.", may_have_begun=begun)

    def hide(self, text: str) -> str:
        """Return a text without the key and the token."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def quoted(text: str) -> str:
    """Escape a text for one part of a path. Raises UsageError for one that no path can hold."""
    if text in {"", ".", ".."}:  # a program on the way would send the request to another path
        raise UsageError(f"{text!r} is no id and no name.")
    return quote(text, safe="")


def rollout_path(rollout_id: str, more: str = "") -> str:
    return f"/rollouts/{quoted(rollout_id)}{more}"
