"""A device or module identity: the registry's record of it, and its JSON.

Everything that can connect has one key: a device's is its id, a module's `device/module`, which is
its MQTT client id too. No id can hold a slash, so the two never meet.
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

# Up to 128 characters; the colon is in some versions of the page only.
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
    """Keys are base64; thumbprints as given. What the type does not use is empty."""

    type: AuthenticationType
    primary_key: str = field(default="", repr=False)
    secondary_key: str = field(default="", repr=False)
    primary_thumbprint: str = ""
    secondary_thumbprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Times are Unix seconds, None for never; `etag` counts the writes to this identity.

    A module (`module_id` is not None) has the status of its device.
    """

    device_id: str
    module_id: str | None = None
    managed_by: str | None = None
    generation_id: str
    etag: int
    status: Status
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
        """What a SAS token for this identity names below the host."""
        if self.module_id is None:
            return ("devices", self.device_id)
        return ("devices", self.device_id, "modules", self.module_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """What a caller may write: the body of a registry PUT, checked."""

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
    """What stands for this identity wherever the hub keeps or connects it."""
    return device_id if module_id is None else f"{device_id}/{module_id}"


def check_device_id(device_id: str) -> str:
    """Return the id, or raise ARGUMENT_INVALID. Module ids follow the same rule."""
    if not _DEVICE_ID.fullmatch(device_id):
        raise invalid(f"not a device id: {device_id!r}")
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
    """The identity's ETag as the wire has it, without quotes: base64 of decimal digits."""
    return base64.b64encode(str(etag).encode()).decode()


def device_document(device: Device) -> Document:
    """The identity as the registry shows it."""
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
    """Of an edge device and those below it; left out where there are none."""
    document: Document = {}
    if device.device_scope:
        document["deviceScope"] = device.device_scope
    if device.parent_scopes:
        document["parentScopes"] = list(device.parent_scopes)
    return document


def _module_document(module: Device, module_id: str) -> Document:
    """A module's has no status and no capabilities, but names who manages it."""
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
