"""Download packages over HTTP(S), without trusting what the server says or decoding anything.

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
# Enough of an error's body to find why the server refuses.
_MAX_ERROR_BYTES = 4 << 10
# Larger lengths are nonsense; 18 digits are also the most that _CONTENT_RANGE reads.
_MAX_LENGTH = 10**18
# More than package servers need; browsers allow 20.
_MAX_REDIRECTS = 5
_REDIRECT_STATUSES: Final = frozenset({301, 302, 303, 307, 308})
_TEMPORARY_STATUSES: Final = frozenset({408, 425, 429})
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")
_STRONG_ETAG = re.compile(r'"[!#-~]{0,256}"')


class HttpTransport:
    """Downloads packages from their servers, one at a time."""

    def __init__(
        self,
        clock: Clock,
        rules: AddressRules,
        *,
        ca_file: str | None = None,
        silence_seconds: float = 30.0,
    ) -> None:
        """Use the authorities of `ca_file` (PEM), or the system's if None.

        `silence_seconds` is how long a server may send nothing.
        """
        self._clock = clock
        self._rules = rules
        self._tls = ssl.create_default_context(cafile=ca_file)
        self._silence_seconds = silence_seconds
        self._connections: Connections | None = None
        self._is_interrupted = False

    def interrupt(self) -> None:
        """End this download and every later one with SwitchedOffError; call from any thread."""
        self._is_interrupted = True
        if self._connections is not None:
            self._connections.shut()

    @contextmanager
    def get(
        self, url: str, offset: int, etag: str | None, seconds: float
    ) -> Iterator[PackageResponse]:
        """Implement `Transport`."""
        with Connections(self._tls, self._silence_seconds, seconds) as connections:
            # Set before the flag is read, because `interrupt` sets the flag first.
            self._connections = connections
            if self._is_interrupted:
                raise SwitchedOffError
            with self._translate_errors("the server cannot be reached"):
                response = self._get(connections, url, offset, etag)
            yield response

    def _get(
        self, connections: Connections, url: str, offset: int, etag: str | None
    ) -> PackageResponse:
        response = self._follow(connections, url, _range_headers(offset, etag))
        if response.status == 416:  # noqa: PLR2004
            if response.headers.get("Content-Range") == f"bytes */{offset}":
                return PackageResponse(offset=offset, total=offset, etag=None, chunks=iter(()))
            # The part on the disk does not belong to this package.
            response = self._follow(connections, url, {})
        if response.status not in (200, 206):
            raise _refusal_error(response, url, self._clock.now())
        return _check_response(response, self._chunks(response, connections))

    def _follow(self, connections: Connections, url: str, headers: dict[str, str]) -> HTTPResponse:
        after_https = False
        for _ in range(_MAX_REDIRECTS + 1):
            target = self._rules.resolve(url, after_https=after_https)
            response = connections.get(target, {**headers, "Accept-Encoding": "identity"})
            location = response.headers.get("Location")
            if response.status not in _REDIRECT_STATUSES or not location:
                return response
            url, after_https = resolve_redirect(url, location), target.is_https
        message = f"the server redirects more than {_MAX_REDIRECTS} times"
        raise UpdateFailedError(Failure.TOO_MANY_REDIRECTS, message)

    def _chunks(self, response: HTTPResponse, connections: Connections) -> Iterator[bytes]:
        """Yield bytes as they arrive, so that a lost connection loses none of them."""
        with self._translate_errors("the connection was lost"):
            while chunk := response.read1(_CHUNK_BYTES):
                yield chunk
            if response.length or connections.is_shut:
                raise ConnectionError("the response ended early")

    @contextmanager
    def _translate_errors(self, what: str) -> Iterator[None]:
        """Translate errors to the agent's; leave out the server's text, which may be anything."""
        try:
            yield
        except (HTTPException, OSError, UpdateFailedError) as error:
            if self._is_interrupted:
                raise SwitchedOffError from None
            if isinstance(error, UpdateFailedError):
                raise
            words = str(error) if isinstance(error, OSError) else type(error).__name__
            raise UnavailableError(f"{what}: {words}") from None


def _range_headers(offset: int, etag: str | None) -> dict[str, str]:
    if not offset:
        return {}
    headers = {"Range": f"bytes={offset}-"}
    return headers | {"If-Range": etag} if etag else headers


def _check_response(response: HTTPResponse, chunks: Iterator[bytes]) -> PackageResponse:
    if response.headers.get("Content-Encoding", "identity").lower() not in ("identity", ""):
        message = "the server compressed the package, although the request forbids it"
        raise UpdateFailedError(Failure.ENCODED_PACKAGE, message)
    offset, total = 0, _read_length(response)
    if response.status == 206:  # noqa: PLR2004
        offset, total = _read_content_range(response)
    tag = response.headers.get("ETag", "")
    strong = tag if _STRONG_ETAG.fullmatch(tag) else None
    return PackageResponse(offset=offset, total=total, etag=strong, chunks=chunks)


def _read_length(response: HTTPResponse) -> int | None:
    """Return the body's length before it is read; None for chunks.

    A body without a length could be cut off anywhere, so it is refused.
    """
    if response.chunked:
        return None
    named = set(response.headers.get_all("Content-Length", []))
    is_coded = "Transfer-Encoding" in response.headers
    if is_coded or len(named) != 1 or response.length is None or response.length > _MAX_LENGTH:
        raise UpdateFailedError(
            Failure.BAD_RESPONSE, "the server does not state the package's length"
        )
    return response.length


def _read_content_range(response: HTTPResponse) -> tuple[int, int | None]:
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if found is None:
        raise UpdateFailedError(
            Failure.BAD_RESPONSE, "the server sent a part without a valid Content-Range"
        )
    first, total = found.groups()
    return int(first), None if total == "*" else int(total)


def _refusal_error(response: HTTPResponse, url: str, now: datetime) -> Exception:
    status = response.status
    if status >= 500 or status in _TEMPORARY_STATUSES:  # noqa: PLR2004
        return UnavailableError(f"the server responds with status {status}")
    if status in (401, 403) and (_is_expired(url, now) or _says_expired(response)):
        return UpdateFailedError(
            Failure.PACKAGE_URI_EXPIRED, "the package's URL has expired; send a new one"
        )
    if status in (404, 410):
        return UpdateFailedError(
            Failure.PACKAGE_NOT_FOUND, f"the server does not have the package (status {status})"
        )
    return UpdateFailedError(
        Failure.DOWNLOAD_REFUSED, f"the server refuses the download (status {status})"
    )


def _is_expired(url: str, now: datetime) -> bool:
    """Return whether `se`, the end of a shared access signature in UTC, has passed."""
    with suppress(ValueError, KeyError):
        end = datetime.fromisoformat(parse_qs(urlsplit(url).query)["se"][0])
        return end.replace(tzinfo=end.tzinfo or UTC) <= now
    return False


def _says_expired(response: HTTPResponse) -> bool:
    """Return whether the body says so, as Blob Storage ("time frame") and S3 ("expired") do."""
    with suppress(HTTPException):
        text = response.read(_MAX_ERROR_BYTES).lower()
        return b"specified time frame" in text or b"expired" in text
    return False
