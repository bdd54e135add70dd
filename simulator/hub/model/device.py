"""A device or module identity: its record in the identity registry, and its JSON.

Every identity has a key: a device's is its id, a module's is `device/module`, which is its MQTT
client id too. No id can contain a slash, so the keys of devices and modules never collide.
Source: Microsoft Learn, "Understand the identity registry in your IoT hub", sections "Device
identity properties" and "Module identity properties".
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from enum import StrEnum

from simulator.hub.model.clock import timestamp
from simulator.hub.model.errors import invalid
from simulator.hub.model.json_types import Document

# Up to 128 characters. Only some versions of the page have the colon.
_DEVICE_ID = re.compile(r"[A-Za-z0-9\-.+%_#*?!(),=@$':]{1,128}")
# "Create a new device identity": a base64 string of 16 to 64 bytes.
_KEY_BYTES = range(16, 65)


class Status(StrEnum):
    ENABLED = "enabled"
    DISABLED = "disabled"


class ConnectionState(StrEnum):
    CONNECTED = "Connected"
    DISCONNECTED = "Disconnected"


class AuthenticationType(StrEnum):
    SAS = "sas"
    SELF_SIGNED = "selfSigned"
    CERTIFICATE_AUTHORITY = "certificateAuthority"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """Base64 keys and thumbprints as given. Fields that the type does not use are empty."""

    type: AuthenticationType
    primary_key: str = field(default="", repr=False)
    secondary_key: str = field(default="", repr=False)
    primary_thumbprint: str = ""
    secondary_thumbprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """An identity. Times are Unix seconds, None for never."""

    device_id: str
    module_id: str | None = None
    """None for a device."""
    managed_by: str | None = None
    generation_id: str
    etag: int
    """Counts the writes to this identity."""
    status: Status
    """A module has the status of its device."""
    status_reason: str | None
    status_updated: float | None
    authentication: Authentication
    iot_edge: bool = False
    device_scope: str | None = None
    parent_scopes: tuple[str, ...] = ()
    connection_state: ConnectionState = ConnectionState.DISCONNECTED
    connection_state_updated: float | None = None
    last_activity: float | None = None

    @property
    def key(self) -> str:
        return identity_key(self.device_id, self.module_id)

    @property
    def path(self) -> tuple[str, ...]:
        """Return the segments that a SAS token for this identity names after the host."""
        if self.module_id is None:
            return ("devices", self.device_id)
        return ("devices", self.device_id, "modules", self.module_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """What a caller may write: the checked body of a registry PUT."""

    device_id: str
    authentication: Authentication
    module_id: str | None = None
    managed_by: str | None = None
    status: Status = Status.ENABLED
    status_reason: str | None = None
    iot_edge: bool = False
    device_scope: str | None = None
    parent_scopes: tuple[str, ...] = ()


def identity_key(device_id: str, module_id: str | None = None) -> str:
    """Return the key by which the hub stores and connects an identity."""
    return device_id if module_id is None else f"{device_id}/{module_id}"


def check_device_id(device_id: str) -> str:
    """Return the id, or raise ARGUMENT_INVALID. Module ids follow the same rule."""
    if not _DEVICE_ID.fullmatch(device_id):
        raise invalid(f"invalid device id: {device_id!r}")
    return device_id


def check_key(key: str) -> str:
    """Return the base64 key, or raise ARGUMENT_INVALID (which never shows it)."""
    try:
        length = len(base64.b64decode(key, validate=True))
    except (binascii.Error, ValueError) as error:
        raise invalid("a symmetric key is not base64") from error
    if length not in _KEY_BYTES:
        raise invalid("a symmetric key must have 16 to 64 bytes")
    return key


def identity_etag(etag: int) -> str:
    """Return an identity's ETag without quotes: base64 of the decimal digits."""
    return base64.b64encode(str(etag).encode()).decode()


def device_document(device: Device) -> Document:
    """Return the identity as the registry shows it."""
    if device.module_id is not None:
        return _module_document(device, device.module_id)
    return {
        "deviceId": device.device_id,
        "generationId": device.generation_id,
        "etag": identity_etag(device.etag),
        "connectionState": device.connection_state,
        "status": device.status,
        "statusReason": device.status_reason,
        "connectionStateUpdatedTime": timestamp(device.connection_state_updated),
        "statusUpdatedTime": timestamp(device.status_updated),
        "lastActivityTime": timestamp(device.last_activity),
        "cloudToDeviceMessageCount": 0,
        "authentication": _authentication_document(device.authentication),
        "capabilities": {"iotEdge": device.iot_edge},
        **scopes(device),
    }


def scopes(device: Device) -> Document:
    """Return the scopes of an edge device or a device below one; empty ones are left out."""
    document: Document = {}
    if device.device_scope:
        document["deviceScope"] = device.device_scope
    if device.parent_scopes:
        document["parentScopes"] = list(device.parent_scopes)
    return document


def _module_document(module: Device, module_id: str) -> Document:
    """Return a module's document: no status and no capabilities, but `managedBy`."""
    return {
        "moduleId": module_id,
        "managedBy": module.managed_by,
        "deviceId": module.device_id,
        "generationId": module.generation_id,
        "etag": identity_etag(module.etag),
        "connectionState": module.connection_state,
        "connectionStateUpdatedTime": timestamp(module.connection_state_updated),
        "lastActivityTime": timestamp(module.last_activity),
        "cloudToDeviceMessageCount": 0,
        "authentication": _authentication_document(module.authentication),
    }


def _authentication_document(authentication: Authentication) -> Document:
    return {
        "type": authentication.type,
        "symmetricKey": {
            "primaryKey": authentication.primary_key or None,
            "secondaryKey": authentication.secondary_key or None,
        },
        "x509Thumbprint": {
            "primaryThumbprint": authentication.primary_thumbprint or None,
            "secondaryThumbprint": authentication.secondary_thumbprint or None,
        },
    }
