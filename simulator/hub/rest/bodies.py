"""Request bodies, read into typed records.

Source: the REST reference of Azure IoT Hub, api-version 2021-04-12.
"""

from enum import StrEnum

from simulator.hub.model.device import (
    Authentication,
    AuthenticationType,
    DeviceSettings,
    Status,
)
from simulator.hub.model.errors import invalid
from simulator.hub.model.json_types import Document, Json
from simulator.hub.model.methods import DEFAULT_RESPONSE_TIMEOUT_SECONDS, MethodRequest


def as_object(value: Json, where: str = "the body") -> Document:
    """Return a JSON object. Raises ARGUMENT_INVALID for any other value."""
    if not isinstance(value, dict):
        raise invalid(f"{where} must be a JSON object")
    return value


def device_settings(body: Json, device_id: str, module_id: str | None = None) -> DeviceSettings:
    """Read the body of a registry PUT. Its ids must equal those in the path."""
    document = as_object(body)
    if document.get("deviceId") != device_id:
        raise invalid("deviceId in the body is not the one in the path")
    if module_id is not None and document.get("moduleId") != module_id:
        raise invalid("moduleId in the body is not the one in the path")
    return settings(document, device_id, module_id)


def settings(document: Document, device_id: str, module_id: str | None = None) -> DeviceSettings:
    """Read what a caller may write of an identity; all else in the document is ignored."""
    capabilities = _optional_object(document, "capabilities")
    return DeviceSettings(
        device_id=device_id,
        module_id=module_id,
        managed_by=_optional_text(document, "managedBy"),
        status=_choice(document, "status", Status, Status.ENABLED),
        status_reason=_optional_text(document, "statusReason"),
        authentication=_authentication(_optional_object(document, "authentication")),
        iot_edge=capabilities.get("iotEdge") is True,
        device_scope=_optional_text(document, "deviceScope"),
        parent_scopes=_texts(document, "parentScopes"),
    )


def method_request(body: Json) -> MethodRequest:
    """Read the body of a direct method call. The model checks the ranges."""
    document = as_object(body)
    name = document.get("methodName")
    if not isinstance(name, str):
        raise invalid("methodName must be a string")
    return MethodRequest(
        name=name,
        payload=document.get("payload"),
        response_timeout_seconds=_whole_number(
            document, "responseTimeoutInSeconds", DEFAULT_RESPONSE_TIMEOUT_SECONDS
        ),
        connect_timeout_seconds=_whole_number(document, "connectTimeoutInSeconds", 0),
    )


def query_text(body: Json) -> str:
    text = as_object(body).get("query")
    if not isinstance(text, str):
        raise invalid("query must be a string")
    return text


def _authentication(document: Document) -> Authentication:
    keys = _optional_object(document, "symmetricKey")
    thumbprints = _optional_object(document, "x509Thumbprint")
    return Authentication(
        type=_choice(document, "type", AuthenticationType, AuthenticationType.SAS),
        primary_key=_optional_text(keys, "primaryKey") or "",
        secondary_key=_optional_text(keys, "secondaryKey") or "",
        primary_thumbprint=_optional_text(thumbprints, "primaryThumbprint") or "",
        secondary_thumbprint=_optional_text(thumbprints, "secondaryThumbprint") or "",
    )


def _optional_object(document: Document, name: str) -> Document:
    value = document.get(name)
    return {} if value is None else as_object(value, name)


def _optional_text(document: Document, name: str) -> str | None:
    value = document.get(name)
    if value is None or isinstance(value, str):
        return value
    raise invalid(f"{name} must be a string")


def _texts(document: Document, name: str) -> tuple[str, ...]:
    value = document.get(name) or []
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise invalid(f"{name} must be an array of strings")
    return tuple(map(str, value))


def _choice[Word: StrEnum](document: Document, name: str, words: type[Word], default: Word) -> Word:
    """Read one of the texts of an enum, in any case."""
    value = _optional_text(document, name)
    if value is None:
        return default
    for word in words:
        if word.lower() == value.lower():
            return word
    raise invalid(f"{name} must be one of {', '.join(words)}")


def _whole_number(document: Document, name: str, default: int) -> int:
    value = document.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(f"{name} must be a whole number")
    return value
