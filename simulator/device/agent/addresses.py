"""Which addresses a package may be fetched from."""

import ipaddress
import socket
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from urllib3.util import make_headers

from simulator.device.agent.errors import Unavailable, UpdateFailed

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
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

    plain_http: bool = True
    private: bool = True
    """Whether addresses of private networks, this machine's own among them, are allowed."""

    def target(self, url: str, *, after_https: bool = False) -> Target:
        """Look up where `url` leads; `after_https` if a server reached over HTTPS named it.

        The addresses are those that were checked: nobody can change them until they are dialled.
        Raises UpdateFailed for what is not allowed, Unavailable for a name that is not known.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError as error:
            raise UpdateFailed("badPackageUri", "the package's address is not a URL") from error
        if not parts.hostname or parts.scheme not in _PORTS:
            raise UpdateFailed("forbiddenAddress", "a package comes over http or https only")
        if parts.scheme == "http" and (after_https or not self.plain_http):
            raise UpdateFailed("forbiddenAddress", "a package must come over https here")
        return Target(
            is_https=parts.scheme == "https",
            host=parts.hostname,
            port=port,
            addresses=self._allowed(_looked_up(parts.hostname, port)),
            path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            headers=_host(parts.hostname, port, parts.scheme) | _authorization(parts.netloc),
        )

    def _allowed(self, addresses: tuple[str, ...]) -> tuple[str, ...]:
        if not self.private and not all(_is_public(address) for address in addresses):
            message = "the package's host is in a private network, which is not allowed here"
            raise UpdateFailed("forbiddenAddress", message)
        return addresses


def _looked_up(host: str, port: int) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unavailable(f"the host {host} is not known") from error
    return tuple(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    return (inner or address).is_global and not address.is_multicast


def _host(host: str, port: int, scheme: str) -> dict[str, str]:
    name = f"[{host}]" if ":" in host else host
    return {"Host": name if port == _PORTS[scheme] else f"{name}:{port}"}


def _authorization(netloc: str) -> dict[str, str]:
    user, has_user, _ = netloc.rpartition("@")
    return make_headers(basic_auth=unquote(user)) if has_user else {}
