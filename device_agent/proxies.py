"""Choose the HTTP proxy for a connection, from the environment or from explicit settings.

As in curl and most programs: `HTTP_PROXY` for http, `HTTPS_PROXY` for https and the hub, `NO_PROXY`
for the hosts that are reached without one; lower-case names come first.
"""

import ipaddress
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

_DEFAULT_PORT = 80


class ProxyError(ValueError):
    """An invalid proxy setting; the message repeats no secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """An HTTP proxy."""

    host: str
    """The host name or address."""
    port: int
    """The TCP port."""
    user: str | None = field(default=None, repr=False)
    """The user; None if the proxy requires none."""
    password: str | None = field(default=None, repr=False)
    """The user's password."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers for the proxy itself."""
        if self.user is None:
            return {}
        credentials = f"{self.user}:{self.password or ''}".encode()
        return {"Proxy-Authorization": f"Basic {b64encode(credentials).decode()}"}


def read_proxy(url: str, name: str = "the proxy") -> Proxy:
    """Parse `http://user:password@host:port`; only the host is required.

    Raises ProxyError, whose message calls the setting `name`.
    """
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname or "", parts.port or _DEFAULT_PORT
    except ValueError:
        host, port, parts = "", 0, urlsplit("http:")
    if parts.scheme != "http":
        raise ProxyError(f"{name} is a {parts.scheme}:// proxy; only http:// proxies are supported")
    if not host:
        raise ProxyError(f"{name} is not a valid URL; expected http://host:port")
    return Proxy(
        host=host,
        port=port,
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """The proxies of a device; without arguments, none."""

    http: Proxy | None = None
    """The proxy for http; None means a direct connection."""
    https: Proxy | None = None
    """The proxy for https and the hub; None means a direct connection."""
    bypass: tuple[str, ...] = ()
    """Hosts without a proxy: names with their subdomains, addresses, networks, or `*` for all.

    A name or an address may end in `:port`.
    """

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Proxies":
        """Read the variables of `environment`. Raises ProxyError."""
        return cls(
            http=_read_variable(environment, "http_proxy"),
            https=_read_variable(environment, "https_proxy"),
            bypass=tuple(re.split(r"[\s,]+", _value(environment, "no_proxy"))),
        )

    def find(self, scheme: str, host: str, port: int) -> Proxy | None:
        """Return the proxy for a connection; None for a direct one."""
        proxy = self.https if scheme == "https" else self.http
        if proxy is None or any(_matches(rule, host, port) for rule in self.bypass):
            return None
        return proxy


def _value(environment: Mapping[str, str], name: str) -> str:
    return (environment.get(name) or environment.get(name.upper()) or "").strip()


def _read_variable(environment: Mapping[str, str], name: str) -> Proxy | None:
    value = _value(environment, name)
    return read_proxy(value, name.upper()) if value else None


def _matches(rule: str, host: str, port: int) -> bool:
    rule, host = rule.lower(), host.lower().rstrip(".")
    if rule in ("*", ""):
        return bool(rule)
    network = _read_network(rule)
    if network is not None:
        return _is_in(network, host)
    name, has_port, wanted_port = rule.rpartition(":")
    if not has_port:
        name = rule
    elif wanted_port != str(port):
        return False
    network = _read_network(name)
    if network is not None:
        return _is_in(network, host)
    name = name.removeprefix("*").strip(".")
    return host == name or host.endswith(f".{name}")


def _read_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None


def _is_in(network: ipaddress.IPv4Network | ipaddress.IPv6Network, host: str) -> bool:
    try:
        return ipaddress.ip_address(host) in network
    except ValueError:
        return False
