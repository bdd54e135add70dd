"""Which addresses a package may be fetched from."""

import ipaddress
import socket
from base64 import b64encode
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, quote, unquote_to_bytes, urljoin, urlsplit

from device_agent.errors import Failure, UnavailableError, UpdateFailedError

_PORTS: Final = {"http": 80, "https": 443}
_IN_USE = ipaddress.ip_network("2000::/3")  # of all IPv6 addresses of single machines
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_HOST_SIGNS = 253  # at most, in a name that DNS knows
_URL_SIGNS = "%/?:@!$&'()*+,;=[]#~"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTarget:
    """Where a request goes: the host's name for TLS and the server, its addresses to dial."""

    is_https: bool
    host: str
    port: int
    addresses: tuple[str, ...]
    path: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRules:
    """What may be dialled; whatever a redirect names is held to the same rules."""

    allow_plain_http: bool = True
    allow_private: bool = True
    """Whether addresses of private networks, this machine's own among them, are allowed."""

    def resolve(self, url: str, *, after_https: bool = False) -> RequestTarget:
        """Look up where `url` leads; `after_https` if a server reached over HTTPS named it.

        The addresses are those that were checked: nobody can change them until they are dialled.
        Raises UpdateFailedError for a forbidden address, UnavailableError for an unknown name.
        """
        parts, host, port = _parsed(url)
        if not host or parts.scheme not in _PORTS:
            raise UpdateFailedError(
                Failure.FORBIDDEN_ADDRESS, "a package comes over http or https only"
            )
        if parts.scheme == "http" and (after_https or not self.allow_plain_http):
            raise UpdateFailedError(
                Failure.FORBIDDEN_ADDRESS, "a package must come over https here"
            )
        return RequestTarget(
            is_https=parts.scheme == "https",
            host=host,
            port=port,
            addresses=self._allowed(_looked_up(host, port)),
            path=quote(
                (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), _URL_SIGNS
            ),
            headers=_host(host, port, parts.scheme) | _authorization(parts.netloc),
        )

    def _allowed(self, addresses: tuple[str, ...]) -> tuple[str, ...]:
        if not self.allow_private and not all(_is_public(address) for address in addresses):
            message = "the package's host is in a private network, which is not allowed here"
            raise UpdateFailedError(Failure.FORBIDDEN_ADDRESS, message)
        return addresses


def resolve_redirect(url: str, location: str) -> str:
    """Where a redirect leads; `location` is Latin-1, as http.client reads it.

    Raises UpdateFailedError.
    """
    try:
        return urljoin(url, quote(location, _URL_SIGNS, encoding="latin-1"))
    except ValueError:
        raise _no_url() from None


def _parsed(url: str) -> tuple[SplitResult, str, int]:
    """Its parts, with the host's name as DNS knows it, and the port."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode("ascii")
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise _no_url() from None
    if len(host) > _HOST_SIGNS:
        raise _no_url()
    return parts, host, port


def _no_url() -> UpdateFailedError:
    return UpdateFailedError(Failure.BAD_PACKAGE_URI, "the package's address is not a URL")


def _looked_up(host: str, port: int) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UnavailableError(f"the host {host} is not known") from None
    return tuple(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def _is_public(text: str) -> bool:
    """Also of an IPv4 address that is wrapped in an IPv6 one, as some networks unwrap it."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    if address in _NAT64:
        return _is_public(str(ipaddress.IPv4Address(address.packed[-4:])))
    inner = address.ipv4_mapped or address.sixtofour
    if inner is not None:
        return _is_public(str(inner))
    return address in _IN_USE and address.is_global


def _host(host: str, port: int, scheme: str) -> dict[str, str]:
    name = f"[{host}]" if ":" in host else host
    return {"Host": name if port == _PORTS[scheme] else f"{name}:{port}"}


def _authorization(netloc: str) -> dict[str, str]:
    user, has_user, _ = netloc.rpartition("@")
    if not has_user:
        return {}
    return {"Authorization": f"Basic {b64encode(unquote_to_bytes(user)).decode()}"}
