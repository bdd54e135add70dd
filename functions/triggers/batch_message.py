"""A batch as a queue message, JSON both ways."""

import json

from pydantic import BaseModel

from functions.use_cases.dispatch import Assignment, Batch


class _Device(BaseModel):
    deviceId: str  # noqa: N815 - the wire's name
    attempt: int
    claims: int


class _Message(BaseModel):
    rolloutId: str  # noqa: N815 - the wire's name
    devices: list[_Device]


def to_text(batch: Batch) -> str:
    devices = [
        {"deviceId": item.device_id, "attempt": item.attempt, "claims": item.claims}
        for item in batch.assignments
    ]
    return json.dumps({"rolloutId": batch.rollout_id, "devices": devices})


def from_bytes(body: bytes) -> Batch:
    """Raises ValueError for what is not a batch, so that the host moves it to the poison queue."""
    message = _Message.model_validate_json(body)
    assignments = (Assignment(item.deviceId, item.attempt, item.claims) for item in message.devices)
    return Batch(message.rolloutId, tuple(assignments))
