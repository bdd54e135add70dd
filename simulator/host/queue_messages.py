"""Queue messages in the runtime library's terms: body and metadata.

A body is base64 of its bytes (Microsoft Learn, "Azure Queue storage trigger and bindings",
`messageEncoding`).
"""

import base64
import binascii
import json
from datetime import datetime
from typing import Any

from simulator.host.queue_storage import StoredMessage
from simulator.host.worker import Datum

_MAX_QUEUE_NAME = 63
_POISON = "-poison"


def poison_queue_name(queue: str) -> str | None:
    """Return the queue that failed messages move to; None if the queue cannot have one.

    Source: azure-webjobs-sdk, `QueueListener.CreatePoisonQueueReference`.
    """
    if queue.endswith(_POISON) or len(queue) + len(_POISON) > _MAX_QUEUE_NAME:
        return None
    return queue + _POISON


def decode_body(text: str) -> bytes | None:
    """Return the bytes of a stored message, or None if it is not valid base64."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def message_datum(body: bytes) -> Any:
    """Return the Datum of a queue trigger's input: text, or bytes if it is not UTF-8."""
    try:
        return Datum(body.decode(), "string")
    except UnicodeDecodeError:
        return Datum(body, "bytes")


def trigger_metadata(message: StoredMessage, body: Any) -> dict[str, Any]:
    """Return the metadata from which the library builds a `func.QueueMessage`."""
    metadata = {
        "QueueTrigger": body,
        "Id": Datum(message.id, "string"),
        "DequeueCount": Datum(str(message.dequeue_count), "json"),
        "PopReceipt": Datum(message.pop_receipt, "string"),
    }
    times = {
        "InsertionTime": message.inserted_at,
        "ExpirationTime": message.expires_at,
        "NextVisibleTime": message.next_visible_at,
    }
    return metadata | {name: _time(at) for name, at in times.items() if at is not None}


def _time(at: datetime) -> Any:
    return Datum(json.dumps(at.isoformat()), "json")
