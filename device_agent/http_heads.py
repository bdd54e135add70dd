"""Read the heads of HTTP responses: what they say of the package, and why a server refuses it.

RFC 9110, sections 10.2.3 (Retry-After), 14.4 (Content-Range) and 15 (statuses); RFC 9112, section
6.3 (the length of a body).
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from typing import Final
from urllib.parse import parse_qs, urlsplit

from device_agent.errors import Failure, RefusedError, UnavailableError
from device_agent.ports import PackageResponse

# Enough of an error's body to find why the server refuses.
_MAX_ERROR_BYTES = 4 << 10
# Larger lengths are nonsense; 18 digits are also the most that _CONTENT_RANGE reads.
_MAX_LENGTH = 10**18
_TEMPORARY_STATUSES: Final = frozenset({408, 421, 425, 429})
_WEB_PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")
_STRONG_ETAG = re.compile(r'"[!#-~]{0,256}"')
_SECONDS = re.compile(r"[0-9]{1,9}")


def read_response(response: HTTPResponse, chunks: Iterator[bytes]) -> PackageResponse:
    """Return a response with status 200 or 206. Raises RefusedError."""
    if response.headers.get("Content-Encoding", "identity").lower() not in ("identity", ""):
        message = "the server compressed the package, although the request forbids it"
        raise RefusedError(message, Failure.ENCODED_PACKAGE)
    offset, total = 0, _read_length(response)
    has_length = response.chunked or total is not None
    if response.status == 206:  # noqa: PLR2004
        offset, total = _read_content_range(response)
    tag = response.headers.get("ETag", "")
    return PackageResponse(
        offset=offset,
        total=total,
        etag=tag if _STRONG_ETAG.fullmatch(tag) else None,
        chunks=chunks,
        has_length=has_length,
        is_web_page=response.headers.get_content_type() in _WEB_PAGES
        and "Content-Type" in response.headers,
    )


def refusal_error(response: HTTPResponse, url: str, now: datetime) -> UnavailableError:
    """Return the error for a response that is not the package; read the reason from its body."""
    status = response.status
    if status >= 500 or status in _TEMPORARY_STATUSES:  # noqa: PLR2004
        message = f"the server responds with status {status}"
        return UnavailableError(message, retry_after_seconds=_read_retry_after(response))
    if status in (401, 403) and (_is_expired(url, now) or _says_expired(response)):
        return RefusedError(
            "the package's URL has expired; send a new one", Failure.PACKAGE_URI_EXPIRED
        )
    if status in (404, 410):
        return RefusedError(
            f"the server does not have the package (status {status})", Failure.PACKAGE_NOT_FOUND
        )
    return RefusedError(
        f"the server refuses the download (status {status})", Failure.DOWNLOAD_REFUSED
    )


def _read_length(response: HTTPResponse) -> int | None:
    """Return the body's length before it is read; None for chunks and if none is stated."""
    stated = set(response.headers.get_all("Content-Length", []))
    is_coded = "Transfer-Encoding" in response.headers
    if response.chunked or (not stated and not is_coded):
        return None
    if is_coded or len(stated) != 1 or response.length is None or response.length > _MAX_LENGTH:
        raise RefusedError("the server states an invalid length", Failure.BAD_RESPONSE)
    return response.length


def _read_content_range(response: HTTPResponse) -> tuple[int, int | None]:
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if found is None:
        raise RefusedError(
            "the server sent a part without a valid Content-Range", Failure.BAD_RESPONSE
        )
    first, total = found.groups()
    return int(first), None if total == "*" else int(total)


def _read_retry_after(response: HTTPResponse) -> float:
    """Return the pause in seconds; 0 if none is stated.

    A date is compared with the server's own clock, because the device's may be wrong.
    """
    text = response.headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    with suppress(ValueError, TypeError):
        until = parsedate_to_datetime(text)
        return (until - parsedate_to_datetime(response.headers.get("Date", ""))).total_seconds()
    return 0.0


def _is_expired(url: str, now: datetime) -> bool:
    """Return whether `se`, the end of a shared access signature in UTC, has passed."""
    with suppress(ValueError, KeyError):
        end = datetime.fromisoformat(parse_qs(urlsplit(url).query)["se"][0])
        return end.replace(tzinfo=end.tzinfo or UTC) <= now
    return False


def _says_expired(response: HTTPResponse) -> bool:
    """Return whether the body says so, as Blob Storage ("time frame") and S3 ("expired") do."""
    with suppress(HTTPException, OSError):
        text = response.read(_MAX_ERROR_BYTES).lower()
        return b"specified time frame" in text or b"expired" in text
    return False
