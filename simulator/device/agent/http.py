"""Packages over HTTP(S). Nothing that the server says is believed, and nothing is decoded.

RFC 9110, sections 13.1.5 (If-Range), 14 (ranges) and 15.4 (redirects).
"""

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from http.client import HTTPException
from typing import Final
from urllib.parse import parse_qs, urljoin, urlsplit

from urllib3 import BaseHTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from simulator.device.agent.addresses import AddressRules, Target
from simulator.device.agent.errors import Unavailable, UpdateFailed
from simulator.device.agent.ports import Clock, Response

_CHUNK_BYTES = 256 << 10
_ERROR_BYTES = 4 << 10
_REDIRECTS_AT_MOST = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_WORTH_ANOTHER_TRY: Final = frozenset({408, 425, 429})
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


class HttpTransport:
    """The transport of a device that fetches its packages itself."""

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

    @contextmanager
    def get(self, url: str, offset: int, etag: str | None, seconds: float) -> Iterator[Response]:
        """See Transport."""
        with _Connections(seconds) as connections:
            try:
                answer = self._answer(connections, url, _range(offset, etag))
                if answer.status == 416:  # noqa: PLR2004 - what is here is no part of it any more
                    offset, answer = 0, self._answer(connections, url, {})
                yield self._response(answer, url, offset)
            except (HTTPError, HTTPException, OSError) as error:
                raise Unavailable(f"the server cannot be reached: {_words(error)}") from error

    def _answer(
        self, connections: "_Connections", url: str, headers: dict[str, str]
    ) -> BaseHTTPResponse:
        after_https = False
        for _ in range(_REDIRECTS_AT_MOST + 1):
            target = self._rules.target(url, after_https=after_https)
            answer = self._ask(connections, target, headers)
            location = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            url, after_https = urljoin(url, location), target.is_https
        raise UpdateFailed("tooManyRedirects", f"more than {_REDIRECTS_AT_MOST} redirects")

    def _ask(
        self, connections: "_Connections", target: Target, headers: dict[str, str]
    ) -> BaseHTTPResponse:
        connection = self._connected(connections, target)
        connection.request(
            "GET",
            target.path,
            headers={**headers, **target.headers, "Accept-Encoding": "identity"},
            preload_content=False,
            decode_content=False,
        )
        return connection.getresponse()

    def _connected(self, connections: "_Connections", target: Target) -> HTTPConnection:
        *others, last = target.addresses
        for address in others:
            with suppress(HTTPError, OSError):
                return connections.opened(self._connection(address, target))
        return connections.opened(self._connection(last, target))

    def _connection(self, address: str, target: Target) -> HTTPConnection:
        seconds = self._silence_seconds
        if not target.is_https:
            return HTTPConnection(address, target.port, timeout=seconds)
        return HTTPSConnection(
            address,
            target.port,
            timeout=seconds,
            ssl_context=self._tls,
            server_hostname=target.host,
            assert_hostname=target.host,
        )

    def _response(self, answer: BaseHTTPResponse, url: str, offset: int) -> Response:
        if answer.status not in (200, 206):
            raise _refusal(answer, url, self._clock.now())
        encoding = answer.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            message = "the server packed the package again, though it was asked not to"
            raise UpdateFailed("encodedPackage", message)
        begins, total = (0, _length(answer)) if answer.status == 200 else _content_range(answer)  # noqa: PLR2004
        if begins not in (0, offset):
            raise UpdateFailed("badResponse", "the server sent a part that was not asked for")
        tag = answer.headers.get("ETag")
        strong = tag if tag and not tag.startswith("W/") else None
        return Response(offset=begins, total=total, etag=strong, chunks=_chunks(answer))


class _Connections:
    """The connections of one request; the last one is shut when the time is over, or at the end."""

    def __init__(self, seconds: float) -> None:
        self._opened: list[HTTPConnection] = []
        self._over = False
        # A server that sends a byte now and then never keeps a socket silent for long.
        self._timer = threading.Timer(max(0.0, seconds), self._shut)
        self._timer.daemon = True

    def __enter__(self) -> "_Connections":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        for connection in self._opened:
            connection.close()

    def opened(self, connection: HTTPConnection) -> HTTPConnection:
        self._opened.append(connection)
        connection.connect()
        if self._over:
            raise TimeoutError("the time for the download is over")
        return connection

    def _shut(self) -> None:
        self._over = True
        for connection in self._opened:
            if isinstance(connection.sock, socket.socket):
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)


def _range(offset: int, etag: str | None) -> dict[str, str]:
    if not offset:
        return {}
    asked = {"Range": f"bytes={offset}-"}
    return asked | {"If-Range": etag} if etag else asked


def _length(answer: BaseHTTPResponse) -> int | None:
    text = answer.headers.get("Content-Length", "")
    return int(text) if re.fullmatch(r"\d{1,18}", text) else None


def _content_range(answer: BaseHTTPResponse) -> tuple[int, int | None]:
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if found is None:
        raise UpdateFailed("badResponse", "the server sent a part, and not which one")
    first, _, total = found.groups()
    return int(first), None if total == "*" else int(total)


def _chunks(answer: BaseHTTPResponse) -> Iterator[bytes]:
    """What has come, as it comes: a connection that is cut loses nothing of it."""
    try:
        while chunk := answer.read1(_CHUNK_BYTES, decode_content=False):
            yield chunk
    except (HTTPError, HTTPException, OSError) as error:
        raise Unavailable(f"the connection was lost: {_words(error)}") from error


def _refusal(answer: BaseHTTPResponse, url: str, now: datetime) -> Exception:
    status = answer.status
    if status >= 500 or status in _WORTH_ANOTHER_TRY:  # noqa: PLR2004
        return Unavailable(f"the server answers {status}")
    if status in (401, 403) and (_is_over(url, now) or _says_expired(answer)):
        return UpdateFailed(
            "packageUriExpired", "the package's URL has expired; a new one is needed"
        )
    if status in (404, 410):
        return UpdateFailed("packageNotFound", f"the server has no such package ({status})")
    return UpdateFailed("downloadRefused", f"the server refuses the download ({status})")


def _is_over(url: str, now: datetime) -> bool:
    """Whether a shared access signature's `se`, its end, is past."""
    with suppress(ValueError, TypeError):
        return datetime.fromisoformat(parse_qs(urlsplit(url).query)["se"][0]) <= now
    return False


def _says_expired(answer: BaseHTTPResponse) -> bool:
    """Blob Storage: "Signature not valid in the specified time frame"; S3: "has expired"."""
    with suppress(HTTPError, HTTPException, OSError):
        text = answer.read1(_ERROR_BYTES, decode_content=False).lower()
        return b"specified time frame" in text or b"expired" in text
    return False


def _words(error: Exception) -> str:
    """Without the URL, which errors of the library may repeat."""
    reason = error.__cause__ or error
    return type(reason).__name__ if isinstance(reason, HTTPError) else str(reason)
