"""Look packages up over HTTP, with the address rules of all outbound requests at each redirect."""

from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

from functions.outbound.port import AddressError, Lookup, Outbound, Outcome

# A plan waits for no longer. The name of a host alone may take longer to resolve.
LOOKUP_SECONDS = 5.0
MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Some stores sign a link for GET alone, and some servers know no HEAD.
_NOT_FOR_HEAD = frozenset(
    {HTTPStatus.FORBIDDEN, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
)


class HttpPackageLookup:
    """Implement `port.PackageLookup`. Threads may share it."""

    def __init__(self, outbound: Outbound, seconds: float = LOOKUP_SECONDS) -> None:
        self._outbound = outbound
        self._seconds = seconds
        # A thread that waits for a slow server does not keep others waiting for longer.
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="package-lookup")

    def look_up(self, url: str) -> Lookup:
        pending = self._threads.submit(self._follow, url)
        try:
            return pending.result(self._seconds)
        except TimeoutError:
            pending.cancel()
            return Lookup(problem=f"no response within {self._seconds:g} s")

    def _follow(self, url: str) -> Lookup:
        try:
            for _ in range(1 + MAX_REDIRECTS):
                outcome = self._request(url)
                if outcome.status not in _REDIRECTS or not outcome.location:
                    return _to_lookup(outcome)
                url = _redirect(url, outcome.location)
        except AddressError as error:
            return Lookup(problem=str(error))
        return Lookup(problem=f"more than {MAX_REDIRECTS} redirects")

    def _request(self, url: str) -> Outcome:
        outcome = self._outbound.head(url)
        return self._outbound.get_first_byte(url) if outcome.status in _NOT_FOR_HEAD else outcome


def _to_lookup(outcome: Outcome) -> Lookup:
    if outcome.is_success:
        return Lookup(size_bytes=outcome.content_length)
    return Lookup(problem=outcome.detail)


def _redirect(url: str, location: str) -> str:
    """Return where a redirect leads. Raises AddressError for what is no http or https URL."""
    try:
        target = urljoin(url, location)
        parts = urlsplit(target)
        is_usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise AddressError("a redirect leads to no http or https URL")
    return target
