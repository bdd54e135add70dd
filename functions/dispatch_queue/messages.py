"""A batch as a queue message: JSON both ways."""

import json

from pydantic import BaseModel, Field

from functions.dispatch_queue.port import Batch


class _Message(BaseModel):
    rolloutId: str  # noqa: N815 - the wire's name
    handOut: int = Field(ge=0)  # noqa: N815
    block: int = Field(ge=0)
    members: str = Field(pattern="^[0-9a-f]{1,64}$")


def to_text(batch: Batch) -> str:
    return json.dumps(
        {
            "rolloutId": batch.rollout_id,
            "handOut": batch.lease,
            "block": batch.block,
            "members": f"{batch.members:x}",
        }
    )


def from_bytes(body: bytes) -> Batch:
    """Raises ValueError for what is not a batch, so that the host moves it to the poison queue."""
    message = _Message.model_validate_json(body)
    return Batch(message.rolloutId, message.handOut, message.block, int(message.members, 16))
