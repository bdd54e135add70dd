"""The port for idempotency keys of requests that create a rollout."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from functions.rollout_store.ports.records import Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse:
    """The request that an idempotency key was used for."""

    rollout_id: str  # of the rollout that the request creates
    body_hash: str  # tells a repeat from another request
    used_at: datetime


class IdempotencyKeys(Protocol):
    """Store the use of each idempotency key. Any text is a valid key."""

    def get(self, key: str) -> Stored[KeyUse] | None:
        """Read the use of a key, or return None if it is unused."""

    def add(self, key: str, use: KeyUse) -> Stored[KeyUse]:
        """Store the first use of a key. Raises LostRaceError if it is in use."""

    def save(self, key: str, use: Stored[KeyUse]) -> Stored[KeyUse]:
        """Replace the use that has `use.version` by `use.record`. Raises LostRaceError."""

    def delete(self, key: str, use: Stored[KeyUse]) -> None:
        """Delete the use that has `use.version`. Raises LostRaceError."""
