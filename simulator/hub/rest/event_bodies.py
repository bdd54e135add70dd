"""The JSON of the event feed and of cloud-to-device messages."""

import base64
import binascii
import secrets
from urllib.parse import parse_qsl

from simulator.hub.model.clock import timestamp
from simulator.hub.model.errors import HubError, invalid
from simulator.hub.model.events import Event, EventPage, EventType
from simulator.hub.model.json_types import Document, Json, from_json, to_json
from simulator.hub.model.message import Message
from simulator.hub.rest.bodies import as_object

SYSTEM_NAMES = {
    "messageId": "mid",
    "correlationId": "cid",
    "userId": "uid",
    "contentType": "ct",
    "contentEncoding": "ce",
    "expiryTimeUtc": "exp",
    "to": "to",
    "ack": "ack",
    "outputName": "on",
    "creationTimeUtc": "ctime",
}
"""System properties by their name in the API, with their name in a topic (after `$.`)."""
_NAMES = {short: name for name, short in SYSTEM_NAMES.items()}


def page_document(page: EventPage) -> Document:
    """Return a page with the cursor of the next one; `dropped` events were too old to keep."""
    return {
        "value": [event_document(event) for event in page.events],
        "cursor": str(page.cursor),
        "dropped": page.dropped,
    }


def event_document(event: Event) -> Document:
    document: Document = {
        "sequence": event.sequence,
        "time": timestamp(event.time),
        "type": event.type.value,
        "deviceId": event.device_id,
    }
    match event.type:
        case EventType.TELEMETRY:
            return document | _telemetry(event)
        case EventType.TWIN_CHANGE:
            by = "device" if event.detail == "reported" else "service"
            patch = from_json(event.body)
            return document | {"by": by, "patch": patch, "version": event.version}
        case _:
            return document


def read_message(body: Json, device_id: str) -> Message:
    """Read `{"body": ... or "bodyBase64": "...", "properties": {}, "systemProperties": {}}`.

    A text is sent as UTF-8, any other JSON value as JSON. Raises ARGUMENT_INVALID.
    """
    document = as_object(body)
    system = {
        _system_name(name): value for name, value in _texts(document, "systemProperties").items()
    }
    defaults = {
        "mid": secrets.token_hex(16),
        "to": f"/devices/{device_id}/messages/devicebound",
    }
    return Message(
        body=_content(document),
        properties=_texts(document, "properties"),
        system_properties=defaults | system,
    )


def _telemetry(event: Event) -> Document:
    system: Document = {}
    properties: Document = {}
    for name, value in parse_qsl(event.detail, keep_blank_values=True):
        if name.startswith("$."):
            system[_NAMES.get(name[2:], name[2:])] = value
        else:
            properties[name] = value
    content: Document
    try:
        content = {"body": from_json(event.body)}
    except HubError:
        content = {"bodyBase64": base64.b64encode(event.body).decode()}
    return {"properties": properties, "systemProperties": system, **content}


def _content(document: Document) -> bytes:
    encoded = document.get("bodyBase64")
    if isinstance(encoded, str):
        try:
            return base64.b64decode(encoded, validate=True)
        except binascii.Error as error:
            raise invalid("bodyBase64 is not base64") from error
    body = document.get("body", "")
    if not isinstance(body, str):
        return to_json(body)
    return body.encode("utf-8", "replace")


def _texts(document: Document, name: str) -> dict[str, str]:
    values = as_object(document.get(name, {}), name)
    texts = {key: value for key, value in values.items() if isinstance(value, str)}
    if len(texts) != len(values):
        raise invalid(f"the values of {name} must be strings")
    return texts


def _system_name(name: str) -> str:
    if name not in SYSTEM_NAMES:
        raise invalid(f"systemProperties has no {name}; it has {', '.join(SYSTEM_NAMES)}")
    return SYSTEM_NAMES[name]
