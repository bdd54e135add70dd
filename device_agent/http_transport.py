"""Packages over HTTP(S). Nothing that the server says is believed, and nothing is decoded.

RFC 9110, sections 13.1.5 (If-Range), 14 (ranges) and 15.4 (redirects); RFC 9112, section 6.3 (the
length of a body).
"""

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.client import HTTPException, HTTPResponse
from typing import Final
from urllib.parse import parse_qs, urlsplit

from device_agent.errors import Failure, SwitchedOffError, UnavailableError, UpdateFailedError
from device_agent.http_connections import Connections
from device_agent.package_addresses import AddressRules, resolve_redirect
from device_agent.ports import Clock, PackageResponse

_CHUNK_BYTES = 1 << 20
_ERROR_BYTES = 4 << 10
_LONGEST = 10**18
_MAX_REDIRECTS = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_WORTH_ANOTHER_TRY: Final = frozenset({408, 425, 429})
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")
_STRONG_ETAG = re.compile(r'"[!#-~]{0,256}"')


class HttpTransport:
    """The transport of a device that fetches its packages itself, one at a time."""

    def __init__(
        self,
        clock: Clock,
        rules: AddressRules,
        *,
        ca_file: str | None = None,
        silence_seconds: float = 30.0,
    ) -> None:
        """`ca_file` is PEM; None means the system's authorities. A server may be silent so long."""
        self._clock = clock
        self._rules = rules
        self._tls = ssl.create_default_context(cafile=ca_file)
        self._silence_seconds = silence_seconds
        self._connections: Connections | None = None
        self._is_off = False

    def interrupt(self) -> None:
        """End this download and every later one with SwitchedOffError; call from any thread."""
        self._is_off = True
        if self._connections is not None:
            self._connections.shut()

    @contextmanager
    def get(
        self, url: str, offset: int, etag: str | None, seconds: float
    ) -> Iterator[PackageResponse]:
        """See Transport."""
        with Connections(self._tls, self._silence_seconds, seconds) as connections:
            self._connections = connections  # before the flag is read: `interrupt` sets it first
            if self._is_off:
                raise SwitchedOffError
            with self._named("the server cannot be reached"):
                response = self._response(connections, url, offset, etag)
            yield response

    def _response(
        self, connections: Connections, url: str, offset: int, etag: str | None
    ) -> PackageResponse:
        answer = self._answer(connections, url, _range(offset, etag))
        if answer.status == 416:  # noqa: PLR2004
            if answer.headers.get("Content-Range") == f"bytes */{offset}":
                return PackageResponse(offset=offset, total=offset, etag=None, chunks=iter(()))
            answer = self._answer(connections, url, {})  # what is here is no part of it any more
        if answer.status not in (200, 206):
            raise _refusal(answer, url, self._clock.now())
        return _checked(answer, self._chunks(answer, connections))

    def _answer(self, connections: Connections, url: str, headers: dict[str, str]) -> HTTPResponse:
        after_https = False
        for _ in range(_MAX_REDIRECTS + 1):
            target = self._rules.resolve(url, after_https=after_https)
            answer = connections.asked(target, {**headers, "Accept-Encoding": "identity"})
            location = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            url, after_https = resolve_redirect(url, location), target.is_https
        raise UpdateFailedError(Failure.TOO_MANY_REDIRECTS, f"more than {_MAX_REDIRECTS} redirects")

    def _chunks(self, answer: HTTPResponse, connections: Connections) -> Iterator[bytes]:
        """What has come, as it comes: a connection that is cut loses nothing of it."""
        with self._named("the connection was lost"):
            while chunk := answer.read1(_CHUNK_BYTES):
                yield chunk
            if answer.length or connections.is_shut:
                raise ConnectionError("it ended early")

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        """Gives errors the agent's names; a server's words are left out, they may be anything."""
        try:
            yield
        except (HTTPException, OSError, UpdateFailedError) as error:
            if self._is_off:
                raise SwitchedOffError from None
            if isinstance(error, UpdateFailedError):
                raise
            words = str(error) if isinstance(error, OSError) else type(error).__name__
            raise UnavailableError(f"{what}: {words}") from None


def _range(offset: int, etag: str | None) -> dict[str, str]:
    if not offset:
        return {}
    asked = {"Range": f"bytes={offset}-"}
    return asked | {"If-Range": etag} if etag else asked


def _checked(answer: HTTPResponse, chunks: Iterator[bytes]) -> PackageResponse:
    if answer.headers.get("Content-Encoding", "identity").lower() not in ("identity", ""):
        message = "the server packed the package again, though it was asked not to"
        raise UpdateFailedError(Failure.ENCODED_PACKAGE, message)
    begins, total = 0, _length(answer)
    if answer.status == 206:  # noqa: PLR2004
        begins, total = _content_range(answer)
    tag = answer.headers.get("ETag", "")
    strong = tag if _STRONG_ETAG.fullmatch(tag) else None
    return PackageResponse(offset=begins, total=total, etag=strong, chunks=chunks)


def _length(answer: HTTPResponse) -> int | None:
    """Of the body, before it is read. One that ends with its connection may end anywhere."""
    if answer.chunked:
        return None
    named = set(answer.headers.get_all("Content-Length", []))
    is_coded = "Transfer-Encoding" in answer.headers
    if is_coded or len(named) != 1 or answer.length is None or answer.length > _LONGEST:
        raise UpdateFailedError(
            Failure.BAD_RESPONSE, "the server does not say where the package ends"
        )
    return answer.length


def _content_range(answer: HTTPResponse) -> tuple[int, int | None]:
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if found is None:
        raise UpdateFailedError(Failure.BAD_RESPONSE, "the server sent a part, and not which one")
    first, total = found.groups()
    return int(first), None if total == "*" else int(total)


def _refusal(answer: HTTPResponse, url: str, now: datetime) -> Exception:
    status = answer.status
    if status >= 500 or status in _WORTH_ANOTHER_TRY:  # noqa: PLR2004
        return UnavailableError(f"the server answers {status}")
    if status in (401, 403) and (_is_over(url, now) or _says_expired(answer)):
        return UpdateFailedError(
            Failure.PACKAGE_URI_EXPIRED, "the package's URL has expired; a new one is needed"
        )
    if status in (404, 410):
        return UpdateFailedError(
            Failure.PACKAGE_NOT_FOUND, f"the server has no such package ({status})"
        )
    return UpdateFailedError(
        Failure.DOWNLOAD_REFUSED, f"the server refuses the download ({status})"
    )


def _is_over(url: str, now: datetime) -> bool:
    """Whether a shared access signature's `se`, its end in UTC, is past."""
    with suppress(ValueError, KeyError):
        end = datetime.fromisoformat(parse_qs(urlsplit(url).query)["se"][0])
        return end.replace(tzinfo=end.tzinfo or UTC) <= now
    return False


def _says_expired(answer: HTTPResponse) -> bool:
    """Blob Storage: "Signature not valid in the specified time frame"; S3: "has expired"."""
    with suppress(HTTPException):
        text = answer.read(_ERROR_BYTES).lower()
        return b"specified time frame" in text or b"expired" in text
    return False
