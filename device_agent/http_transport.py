"""Download packages over HTTP(S), without trusting what the server says or decoding anything.

RFC 9110, sections 13.1.5 (If-Range), 14 (ranges) and 15.4 (redirects).
"""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from typing import Final

from device_agent.errors import (
    Failure,
    RefusedError,
    SwitchedOffError,
    UnavailableError,
    UpdateFailedError,
)
from device_agent.http_connections import Connections, explain_proxy_status
from device_agent.http_heads import read_response, refusal_error
from device_agent.package_addresses import AddressRules, resolve_redirect
from device_agent.ports import Clock, PackageResponse
from device_agent.proxies import Proxies

_CHUNK_BYTES = 1 << 20
# More than package servers need; browsers allow 20.
_MAX_REDIRECTS = 5
_REDIRECT_STATUSES: Final = frozenset({301, 302, 303, 307, 308})
# Proxies must not compress or convert the package (RFC 9111, 5.2.1.6).
_HEADERS: Final = {"Accept-Encoding": "identity", "Cache-Control": "no-transform"}


class HttpTransport:
    """Downloads packages from their servers, one at a time."""

    def __init__(
        self,
        clock: Clock,
        rules: AddressRules,
        *,
        ca_file: str | None = None,
        silence_seconds: float = 30.0,
        proxies: Proxies | None = None,
    ) -> None:
        """Use the authorities of `ca_file` (PEM), or the system's if None.

        `silence_seconds` is how long a server may send nothing. `proxies` None means those of the
        environment. Raises ProxyError.
        """
        self._clock = clock
        self._rules = rules
        self._tls = ssl.create_default_context(cafile=ca_file)
        self._silence_seconds = silence_seconds
        self._proxies = Proxies.from_environment(os.environ) if proxies is None else proxies
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
            raise refusal_error(response, url, self._clock.now())
        return read_response(response, self._chunks(response, connections))

    def _follow(self, connections: Connections, url: str, headers: dict[str, str]) -> HTTPResponse:
        after_https = False
        for _ in range(_MAX_REDIRECTS + 1):
            target = self._rules.resolve(url, after_https=after_https, proxies=self._proxies)
            response = connections.get(target, {**headers, **_HEADERS})
            if response.status == 407 and target.proxy is not None:  # noqa: PLR2004
                raise ConnectionError(explain_proxy_status(response.status, target.proxy))
            location = response.headers.get("Location")
            if response.status not in _REDIRECT_STATUSES or not location:
                return response
            url, after_https = resolve_redirect(url, location), target.is_https
        message = f"the server redirects more than {_MAX_REDIRECTS} times"
        raise RefusedError(message, Failure.TOO_MANY_REDIRECTS)

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
        except (HTTPException, OSError, UnavailableError, UpdateFailedError) as error:
            if self._is_interrupted:
                raise SwitchedOffError from None
            if isinstance(error, UnavailableError | UpdateFailedError):
                raise
            words = str(error) if isinstance(error, OSError) else type(error).__name__
            raise UnavailableError(f"{what}: {words}") from None


def _range_headers(offset: int, etag: str | None) -> dict[str, str]:
    if not offset:
        return {}
    headers = {"Range": f"bytes={offset}-"}
    return headers | {"If-Range": etag} if etag else headers
