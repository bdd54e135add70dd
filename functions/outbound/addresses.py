"""Decide which addresses may be dialled for a URL that a caller chose.

A caller must not reach what only the app can reach: metadata services, the platform's own
addresses, other machines of its network.
"""

import ipaddress
import socket
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address

from functions.outbound.port import AddressError, AllowedAddresses

type _Address = IPv4Address | IPv6Address

# Microsoft Learn, "What is IP address 168.63.129.16?": the platform's own, though it looks public.
_PLATFORM = ipaddress.ip_address("168.63.129.16")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052; its last 32 bits are an IPv4 address


def resolve(host: str, port: int, allowed: AllowedAddresses) -> Sequence[str]:
    """Return the addresses of a host. Raises AddressError unless all of them may be dialled."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AddressError(f"the host {host[:80]} cannot be resolved") from None
    addresses = list(dict.fromkeys(str(item[4][0]) for item in found))
    for address in addresses:
        kind = refused_kind(address, allowed)
        if kind is not None:
            raise AddressError(
                f"the host {host[:80]} has a {kind} address, which the app does not dial; the"
                " setting ROLLOUT_OUTBOUND_ADDRESSES can allow loopback and private ones"
            )
    return addresses


def refused_kind(text: str, allowed: AllowedAddresses) -> str | None:
    """Return what kind of address it is if it may not be dialled, else None."""
    for address in _embedded(ipaddress.ip_address(text.partition("%")[0])):
        kind = _kind(address)
        if kind not in _ALLOWED_KINDS[allowed]:
            return kind
    return None


_ALLOWED_KINDS = {
    AllowedAddresses.PUBLIC: frozenset({"public"}),
    AllowedAddresses.LOOPBACK: frozenset({"public", "loopback"}),
    AllowedAddresses.PRIVATE: frozenset({"public", "loopback", "private"}),
}


def _kind(address: _Address) -> str:
    if address == _PLATFORM:
        return "platform"
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return "link-local, multicast or unspecified"
    if address.is_loopback:
        return "loopback"
    return "public" if address.is_global else "private"


def _embedded(address: _Address) -> Iterator[_Address]:
    """Yield the addresses that packets to this one may reach; tunnels embed an IPv4 address."""
    if isinstance(address, IPv4Address):
        yield address
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
        return
    if address in _NAT64:
        yield IPv4Address(int(address) & 0xFFFFFFFF)
        return
    yield address
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
