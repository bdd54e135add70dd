"""Access control: shared access policies, SAS tokens and client certificates.

Source: Microsoft Learn, "Control access to IoT Hub", sections "Access control and permissions"
and "Use security tokens from service components".
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Flag, auto

from simulator.hub.model import sas
from simulator.hub.model.device import AuthenticationType, Device
from simulator.hub.model.errors import ErrorCode, HubError


class Permission(Flag):
    """The permissions of shared access policies."""

    REGISTRY_READ = auto()
    REGISTRY_WRITE = auto()
    SERVICE_CONNECT = auto()
    DEVICE_CONNECT = auto()


OWNER = "iothubowner"
_PERMISSIONS = {
    OWNER: ~Permission(0),
    "service": Permission.SERVICE_CONNECT,
    "device": Permission.DEVICE_CONNECT,
    "registryRead": Permission.REGISTRY_READ,
    "registryReadWrite": Permission.REGISTRY_READ | Permission.REGISTRY_WRITE,
}


def policy_key(owner_key: str, policy: str) -> str:
    """Return the key of a built-in policy: the owner's, or one derived from it and so stable."""
    if policy == OWNER:
        return owner_key
    digest = hmac.digest(base64.b64decode(owner_key), policy.encode(), hashlib.sha256)
    return base64.b64encode(digest).decode()


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A client's certificate. The TLS handshake has checked its validity period and its key."""

    thumbprints: frozenset[str]
    """SHA-1 and SHA-256 of its DER form, in upper-case hex."""
    certified_name: str | None
    """Its common name; None unless the hub's authority signed it."""


class Access:
    """Checks tokens and certificates.

    `names` are the host names that count as this hub, with or without a port.
    """

    def __init__(self, *, owner_key: str, names: Iterable[str]) -> None:
        self._keys = {policy: policy_key(owner_key, policy) for policy in _PERMISSIONS}
        self._names = frozenset(name.lower() for name in names)

    def check_service(
        self, authorization: str | None, path: tuple[str, ...], needed: Permission, now: float
    ) -> None:
        """Check a call of the service API, or raise IOT_HUB_UNAUTHORIZED_ACCESS.

        A missing permission is reported like a bad token; which of the two codes of 401 the
        service uses there is unverified.
        """
        token = _parse_token(authorization or "")
        if token.policy is None or not _PERMISSIONS.get(token.policy, Permission(0)) & needed:
            raise _unauthorized_error()
        self._check(token, path, (self._keys[token.policy],), now)

    def check_device(self, password: str, device: Device, now: float) -> int:
        """Check a device's token and return when it expires (Unix time), or raise HubError.

        The token is signed with the device's own key and for this device alone, or names a policy
        with DeviceConnect. That a device's key allows no wider scope is unverified. Every token is
        invalid for a device that has certificates instead of keys.
        """
        if device.authentication.type is not AuthenticationType.SAS:
            raise _unauthorized_error()
        token = _parse_token(password)
        keys: tuple[str, ...]
        if token.policy is None and token.segments[1:] == device.path:
            keys = (device.authentication.primary_key, device.authentication.secondary_key)
        elif token.policy is None:
            raise _unauthorized_error()
        elif _PERMISSIONS.get(token.policy, Permission(0)) & Permission.DEVICE_CONNECT:
            keys = (self._keys[token.policy],)
        else:
            raise _unauthorized_error()
        self._check(token, device.path, keys, now)
        return token.expiry

    def check_certificate(self, certificate: ClientCertificate, device: Device) -> None:
        """Check a device's thumbprint or certified name, or raise HubError."""
        match device.authentication.type:
            case AuthenticationType.SELF_SIGNED:
                is_known = not certificate.thumbprints.isdisjoint(_thumbprints(device))
            case AuthenticationType.CERTIFICATE_AUTHORITY:
                is_known = certificate.certified_name == device.key
            case AuthenticationType.SAS:
                is_known = False
        if not is_known:
            raise _unauthorized_error()

    def is_this_hub(self, host: str) -> bool:
        """Return whether a host name, with or without a port, names this hub."""
        name, separator, port = host.rpartition(":")
        bare = name if separator and port.isdigit() else host
        return bare.strip("[]").lower() in self._names

    def _check(
        self, token: sas.SasToken, path: tuple[str, ...], keys: tuple[str, ...], now: float
    ) -> None:
        host, *scope = token.segments
        # A token's scope includes every path below it, by whole segments.
        covered = self.is_this_hub(host) and path[: len(scope)] == tuple(scope)
        if not covered or token.expiry <= now:
            raise _unauthorized_error()
        if not any(sas.is_signed_by(token, key) for key in keys):
            raise _unauthorized_error()


def _thumbprints(device: Device) -> tuple[str, ...]:
    authentication = device.authentication
    return (authentication.primary_thumbprint.upper(), authentication.secondary_thumbprint.upper())


def _parse_token(text: str) -> sas.SasToken:
    try:
        return sas.parse(text)
    except sas.SasError as error:
        raise _unauthorized_error() from error


def _unauthorized_error() -> HubError:
    # The service gives no reason: neither which check failed nor whether the device exists.
    return HubError(ErrorCode.IOT_HUB_UNAUTHORIZED_ACCESS, "Unauthorized")
