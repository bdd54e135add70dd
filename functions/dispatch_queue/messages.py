"""Convert batches and deliveries to queue messages and back.

The names in the JSON are stored names. Each message carries the number of its format.
"""

import json
from typing import Any

from pydantic import BaseModel, Field

from functions import version as release
from functions.dispatch_queue.port import Batch, Delivery
from functions.rollouts.model.device_set import DeviceSet
from functions.version import SCHEMA, UNNUMBERED_SCHEMA, check_schema


class _Header(BaseModel):
    """What messages of every release have in common."""

    number: int = Field(default=UNNUMBERED_SCHEMA, alias="schema")  # `version.SCHEMA`


class _Message(BaseModel):
    rolloutId: str  # noqa: N815 - a stored name
    handOut: int = Field(ge=0)  # noqa: N815
    block: int = Field(ge=0)
    members: str = Field(pattern="^[0-9a-f]{1,64}$")


def to_text(batch: Batch) -> str:
    return _to_text(
        {
            "rolloutId": batch.rollout_id,
            "handOut": batch.lease,
            "block": batch.block,
            "members": f"{batch.devices.mask:x}",
        }
    )


def from_bytes(body: bytes) -> Batch:
    """Parse a message. Raises ValueError if it is not a batch, NewerSchemaError."""
    _check(body)
    message = _Message.model_validate_json(body)
    devices = DeviceSet(int(message.members, 16))
    return Batch(message.rolloutId, message.handOut, message.block, devices)


class _DeliveryMessage(BaseModel):
    rolloutId: str  # noqa: N815 - a stored name
    webhook: str


def delivery_to_text(delivery: Delivery) -> str:
    return _to_text({"rolloutId": delivery.rollout_id, "webhook": delivery.webhook})


def delivery_from_bytes(body: bytes) -> Delivery:
    """Parse a message. Raises ValueError if it is not a delivery, NewerSchemaError."""
    _check(body)
    message = _DeliveryMessage.model_validate_json(body)
    return Delivery(message.rolloutId, message.webhook)


def _to_text(body: dict[str, Any]) -> str:
    return json.dumps({**body, SCHEMA: release.SCHEMA_VERSION})


def _check(body: bytes) -> None:
    check_schema(_Header.model_validate_json(body).number, "The queue message")
