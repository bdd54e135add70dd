"""Send requests over HTTP. The address that was checked is the one that is dialled."""

import ssl
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from http import HTTPStatus
from http.client import HTTPException
from socket import SHUT_RDWR
from threading import Timer
from urllib.parse import SplitResult, urlsplit

import certifi
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from functions.outbound.addresses import resolve
from functions.outbound.port import AddressError, AllowedAddresses, Outcome

CONNECT_SECONDS = 5
READ_SECONDS = 10
# A response that trickles in must not keep a delivery waiting.
MAX_SECONDS = 15.0
# A name may have an address of each family, one of which this network does not reach.
MAX_ADDRESSES = 2
MAX_REASON_CHARACTERS = 120
_PORTS = {"http": 80, "https": 443}


class HttpsOutbound:
    """Implement `port.Outbound`. Threads may share it."""

    def __init__(self, allowed: AllowedAddresses) -> None:
        self._allowed = allowed

    def check(self, url: str) -> None:
        parts = self._split(url)
        resolve(parts.hostname or "", _port(parts), self._allowed)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        try:
            return self._send("POST", url, headers, body)
        except AddressError as error:
            return Outcome(None, str(error))

    def head(self, url: str) -> Outcome:
        return self._send("HEAD", url, {}, None)

    def get_first_byte(self, url: str) -> Outcome:
        return self._send("GET", url, {"Range": "bytes=0-0"}, None)

    def _split(self, url: str) -> SplitResult:
        """Raise AddressError for a URL in plain HTTP, unless only this network sees it."""
        parts = urlsplit(url)
        if parts.scheme.lower() != "https" and self._allowed is AllowedAddresses.PUBLIC:
            raise AddressError("must be an https URL")
        return parts

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Outcome:
        parts = self._split(url)
        outcome = Outcome(None, "the host has no address")
        for address in resolve(parts.hostname or "", _port(parts), self._allowed)[:MAX_ADDRESSES]:
            outcome, is_connected = self._send_to(address, parts, method, headers, body)
            if is_connected:
                break
        return outcome

    def _send_to(
        self,
        address: str,
        parts: SplitResult,
        method: str,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> tuple[Outcome, bool]:
        """Send to one address. Return the outcome, and whether a connection was made."""
        connection = self._connection(address, parts)
        timer = Timer(MAX_SECONDS, _abort, [connection])
        timer.daemon = True
        is_connected = False
        try:
            timer.start()
            connection.connect()
            is_connected = True
            if connection.sock is not None:
                connection.sock.settimeout(READ_SECONDS)
            sent = {"Host": _host_header(parts), "User-Agent": "fleet-rollout", **headers}
            connection.request(method, _target(parts), body, sent, preload_content=False)
            response = connection.getresponse()
            return _outcome(response.status, response.headers), True
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            return Outcome(None, _describe(error)), is_connected
        finally:
            timer.cancel()
            connection.close()

    def _connection(self, address: str, parts: SplitResult) -> HTTPConnection:
        if parts.scheme.lower() == "http":
            return HTTPConnection(address, _port(parts), timeout=CONNECT_SECONDS)
        host = parts.hostname or ""
        return HTTPSConnection(
            address,
            _port(parts),
            timeout=CONNECT_SECONDS,
            ssl_context=self._tls,
            server_hostname=host,
            assert_hostname=host,
        )

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())
        return context


def _outcome(status: int, headers: Mapping[str, str]) -> Outcome:
    return Outcome(
        status,
        f"status {status}",
        _whole_number(headers.get("Retry-After"), max_digits=7),
        headers.get("Location"),
        _content_length(status, headers),
    )


def _content_length(status: int, headers: Mapping[str, str]) -> int | None:
    """Return the length of the whole resource, as it is stored there."""
    if headers.get("Content-Encoding"):
        return None
    if status == HTTPStatus.PARTIAL_CONTENT:
        return _whole_number(headers.get("Content-Range", "").rpartition("/")[2])
    return _whole_number(headers.get("Content-Length"))


def _whole_number(value: str | None, max_digits: int = 15) -> int | None:
    text = (value or "").strip()
    is_number = text.isascii() and text.isdecimal() and len(text) <= max_digits
    return int(text) if is_number else None


def _abort(connection: HTTPConnection) -> None:
    if connection.sock is not None:
        with suppress(OSError):
            connection.sock.shutdown(SHUT_RDWR)


def _port(parts: SplitResult) -> int:
    return parts.port or _PORTS[parts.scheme.lower()]


def _host_header(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _target(parts: SplitResult) -> str:
    return f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"


def _describe(error: Exception) -> str:
    """Return why no response came, without the URL, which the text of an error may repeat."""
    reason = error.__cause__ or error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"the certificate is not valid: {reason.verify_message[:MAX_REASON_CHARACTERS]}"
    if isinstance(reason, TimeoutError):
        return "no response in time"
    return f"no response ({type(reason).__name__})"
