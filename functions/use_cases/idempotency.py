"""Create one rollout per `Idempotency-Key`, however often the same request arrives.

A request reserves its key before it stores any part of its rollout, and renews the reservation
right before it writes the rollout's own row. So a slow request and another one that has reserved
the key after it cannot both create a rollout.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta

from functions.errors import (
    ConflictError,
    FleetRolloutError,
    InProgressError,
    LostRaceError,
)
from functions.rollout_store.ports.idempotency_keys import KeyUse
from functions.rollout_store.ports.records import Stored
from functions.rollout_store.ports.rollouts import Snapshot
from functions.use_cases.services import Services

# How long a request may take. After this, another request may reserve its key.
KEY_RESERVATION = timedelta(minutes=2)
_UNDER_WAY = "Another request with this Idempotency-Key is under way; try again."


def get_earlier_rollout(
    services: Services, used: Stored[KeyUse] | None, body_hash: str
) -> Snapshot | None:
    """Return the rollout that the key created; None if the key can be reserved.

    Raises ConflictError (the key was used with another body), InProgressError.
    """
    if used is None:
        return None
    if used.record.body_hash != body_hash:
        raise ConflictError(
            "This Idempotency-Key was used with another body; use a new key for a new rollout."
        )
    rollout = services.stores.rollouts.get(used.record.rollout_id)
    if rollout is None and used.record.used_at + KEY_RESERVATION > services.clock():
        raise InProgressError(_UNDER_WAY)
    return rollout


@contextmanager
def reserve_key(
    services: Services, key: str, use: KeyUse, used: Stored[KeyUse] | None
) -> Iterator[Callable[[], None]]:
    """Reserve the key for a `with` block that stores the rollout.

    Yields the function that renews the reservation; the block calls it right before it writes the
    rollout's own row. A block that fails before that releases the key. A block that fails later
    keeps it, because the rollout may exist. Raises InProgressError if another request has the key.
    """
    keys = services.stores.keys
    may_exist = False
    with _report_in_progress():
        stored = keys.add(key, use) if used is None else keys.save(key, Stored(use, used.version))

    def renew() -> None:
        nonlocal stored, may_exist
        with _report_in_progress():
            renewed = replace(use, used_at=services.clock())
            stored = keys.save(key, Stored(renewed, stored.version))
        may_exist = True

    try:
        yield renew
    except FleetRolloutError:
        if not may_exist:
            with suppress(FleetRolloutError):
                keys.delete(key, stored)
        raise


@contextmanager
def _report_in_progress() -> Iterator[None]:
    """Turn LostRaceError into InProgressError."""
    try:
        yield
    except LostRaceError as error:
        raise InProgressError(_UNDER_WAY) from error
