"""Resolve a package's URL and check that the device may connect to its addresses."""

import ipaddress
import socket
from base64 import b64encode
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, quote, unquote_to_bytes, urljoin, urlsplit

from device_agent.errors import Failure, RefusedError, UnavailableError, UpdateFailedError
from device_agent.proxies import Proxies, Proxy

_NO_PROXIES: Final = Proxies()
_PORTS: Final = {"http": 80, "https": 443}
# The IPv6 global unicast addresses that are assigned (IANA, "IPv6 Global Unicast Address
# Assignments").
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# The longest name in DNS (RFC 1035, 2.3.4).
_MAX_HOST_CHARACTERS = 253
_URL_CHARACTERS = "%/?:@!$&'()*+,;=[]#~"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTarget:
    """Where an HTTP request goes."""

    is_https: bool
    """Whether to use TLS."""
    host: str
    """The host name, for TLS and the server."""
    port: int
    """The TCP port."""
    addresses: tuple[str, ...]
    """The checked IP addresses to connect to, in order; those of the proxy, if there is one."""
    path: str
    """The path and the query, quoted."""
    headers: dict[str, str]
    """`Host`, and `Authorization` if the URL names a user."""
    proxy: Proxy | None = None
    """The proxy to connect to; None means a direct connection."""

    @property
    def authority(self) -> str:
        """The host and the port, as CONNECT names them."""
        return f"{_bracket(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRules:
    """Which addresses a package may come from; redirects follow the same rules."""

    allow_plain_http: bool = True
    """Whether http is allowed, besides https."""
    allow_private: bool = True
    """Whether addresses of private networks and of this machine are allowed."""

    def resolve(
        self, url: str, *, after_https: bool = False, proxies: Proxies = _NO_PROXIES
    ) -> RequestTarget:
        """Resolve `url`; set `after_https` if a redirect from an HTTPS server named it.

        The target holds the addresses that were checked, so that no later DNS response can replace
        them. A proxy resolves names itself, so that only addresses in `url` are checked. Raises
        UpdateFailedError for a forbidden URL, RefusedError for a forbidden address,
        UnavailableError for an unknown host.
        """
        parts, host, port = _split_url(url)
        if not host or parts.scheme not in _PORTS:
            raise UpdateFailedError(
                Failure.FORBIDDEN_ADDRESS, "the package's URL must start with http:// or https://"
            )
        if parts.scheme == "http" and (after_https or not self.allow_plain_http):
            raise UpdateFailedError(
                Failure.FORBIDDEN_ADDRESS, "the package's URL uses http; this device requires https"
            )
        query = f"?{parts.query}" if parts.query else ""
        proxy = proxies.find(parts.scheme, host, port)
        addresses = self._check(_look_up(host, port) if proxy is None else _read_address(host))
        return RequestTarget(
            is_https=parts.scheme == "https",
            host=host,
            port=port,
            addresses=_look_up(proxy.host, proxy.port) if proxy else addresses,
            path=quote((parts.path or "/") + query, _URL_CHARACTERS),
            headers=_host_header(host, port, parts.scheme) | _authorization_header(parts.netloc),
            proxy=proxy,
        )

    def _check(self, addresses: tuple[str, ...]) -> tuple[str, ...]:
        if not self.allow_private and not all(_is_public(address) for address in addresses):
            message = "the package's host is in a private network; this device allows public ones"
            # A captive portal may have redirected the request, or replaced the DNS server.
            raise RefusedError(message, Failure.FORBIDDEN_ADDRESS)
        return addresses


def resolve_redirect(url: str, location: str) -> str:
    """Return the URL that a redirect names; `location` is Latin-1, as http.client reads it.

    Raises UpdateFailedError.
    """
    try:
        return urljoin(url, quote(location, _URL_CHARACTERS, encoding="latin-1"))
    except ValueError:
        raise _invalid_url() from None


def _split_url(url: str) -> tuple[SplitResult, str, int]:
    """Return the parts of `url`, its host name in ASCII (IDNA), and its port."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode("ascii")
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise _invalid_url() from None
    if len(host) > _MAX_HOST_CHARACTERS:
        raise _invalid_url()
    return parts, host, port


def _invalid_url() -> UpdateFailedError:
    return UpdateFailedError(Failure.BAD_PACKAGE_URI, "the package's address is not a valid URL")


def _read_address(host: str) -> tuple[str, ...]:
    """Return the address that `host` is, in any notation; nothing for a name."""
    try:
        found = socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return ("127.0.0.1",) if host.rstrip(".").endswith("localhost") else ()
    return tuple(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def _look_up(host: str, port: int) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UnavailableError(f"unknown host {host}") from None
    return tuple(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def _is_public(text: str) -> bool:
    """Return whether an address is public; unwraps IPv4 inside IPv6, as some networks do."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    if address in _NAT64:
        return _is_public(str(ipaddress.IPv4Address(address.packed[-4:])))
    inner = address.ipv4_mapped or address.sixtofour
    if inner is not None:
        return _is_public(str(inner))
    return address in _GLOBAL_UNICAST and address.is_global


def _host_header(host: str, port: int, scheme: str) -> dict[str, str]:
    name = _bracket(host)
    return {"Host": name if port == _PORTS[scheme] else f"{name}:{port}"}


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _authorization_header(netloc: str) -> dict[str, str]:
    user, has_user, _ = netloc.rpartition("@")
    if not has_user:
        return {}
    return {"Authorization": f"Basic {b64encode(unquote_to_bytes(user)).decode()}"}
