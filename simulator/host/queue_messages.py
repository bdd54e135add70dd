"""Queue messages in the runtime library's terms: encoding, splitting, metadata.

Base64 is the default both ways and covers the UTF-8 text (Microsoft Learn, "Azure Queue storage
trigger and bindings", `messageEncoding`).
"""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from simulator.host.queue_storage import StoredMessage
from simulator.host.worker import Datum

_LONGEST_QUEUE_NAME = 63
_POISON = "-poison"


def poison_queue_name(queue: str) -> str | None:
    """Where failed messages go; None when the queue can have no poison queue.

    Source: azure-webjobs-sdk, `QueueListener.CreatePoisonQueueReference`.
    """
    if queue.endswith(_POISON) or len(queue) + len(_POISON) > _LONGEST_QUEUE_NAME:
        return None
    return queue + _POISON


def decode_body(text: str, *, base64_encoded: bool) -> bytes | None:
    """The bytes of a stored message, or None when it is not valid base64."""
    if not base64_encoded:
        return text.encode()
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def encode_body(body: str | bytes, *, base64_encoded: bool) -> str:
    """The text to store. Raises UnicodeDecodeError for bytes that plain text cannot carry."""
    content = body.encode() if isinstance(body, str) else body
    return base64.b64encode(content).decode() if base64_encoded else content.decode()


def message_datum(body: bytes, *, binary: bool) -> Any:
    """The Datum of a queue trigger's input: text, unless bytes are wanted or nothing else fits."""
    if not binary:
        try:
            return Datum(body.decode(), "string")
        except UnicodeDecodeError:
            pass
    return Datum(body, "bytes")


def trigger_metadata(message: StoredMessage, body: Any) -> dict[str, Any]:
    """The metadata from which the library builds a `func.QueueMessage`."""
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


def messages_of(value: Any) -> Sequence[str | bytes]:
    """The messages that an output's Datum stands for. Raises ValueError for text that is not JSON.

    Text between braces or brackets is taken for JSON: an array becomes one message per element,
    and objects are written anew, so that a receiver may rely on the JSON but not on its spacing
    (azure-functions-host, `FunctionBinding.ReadAsEnumerable`).
    """
    if isinstance(value.value, bytes):
        return [value.value]
    if not isinstance(value.value, str):
        return _elements(value.value)
    text = value.value.strip()
    if text[:1] + text[-1:] not in {"{}", "[]"}:
        return [value.value]
    return _elements(json.loads(text))


def _elements(parsed: Any) -> list[str | bytes]:
    return [_text(item) for item in (parsed if isinstance(parsed, list) else [parsed])]


def _text(item: Any) -> str:
    if isinstance(item, str):
        return item
    if item is None or isinstance(item, bool):
        return "" if item is None else str(item)
    return json.dumps(item, indent=2, ensure_ascii=False)


def _time(at: datetime) -> Any:
    return Datum(json.dumps(at.isoformat()), "json")
