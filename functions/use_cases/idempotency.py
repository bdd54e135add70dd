"""The promise behind `Idempotency-Key`: the same key and body make one rollout.

A key is reserved before anything of its rollout is stored, and belongs to its request for the
length of a lease. The lease is renewed right before the rollout's own row is written, so that a
slow request and one that took its key over cannot both create a rollout.
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

# How long a first request may take; after that its key can be used again if it stored nothing.
KEY_LEASE = timedelta(minutes=2)
_UNDER_WAY = "Another request with this Idempotency-Key is under way."


def get_earlier_rollout(
    services: Services, used: Stored[KeyUse] | None, body_hash: str
) -> Snapshot | None:
    """The rollout that the key created; None when there is none and the key is free.

    Raises ConflictError (the key belongs to another body), InProgressError.
    """
    if used is None:
        return None
    if used.record.body_hash != body_hash:
        raise ConflictError("This Idempotency-Key was used with another body.")
    rollout = services.stores.rollouts.get(used.record.rollout_id)
    if rollout is None and used.record.used_at + KEY_LEASE > services.clock():
        raise InProgressError(_UNDER_WAY)
    return rollout


@contextmanager
def reserve_key(
    services: Services, key: str, use: KeyUse, used: Stored[KeyUse] | None
) -> Iterator[Callable[[], None]]:
    """Hold the key for the length of the block, which stores the rollout.

    Gives the function that renews the lease, to be called right before the rollout's own row is
    written. A block that fails before that frees the key; afterwards the rollout may exist, so
    the key is kept. Raises InProgressError when somebody else has the key.
    """
    keys = services.stores.keys
    may_exist = False
    with _races_in_progress():
        held = keys.add(key, use) if used is None else keys.save(key, Stored(use, used.version))

    def renew() -> None:
        nonlocal held, may_exist
        with _races_in_progress():
            held = keys.save(key, Stored(replace(use, used_at=services.clock()), held.version))
        may_exist = True

    try:
        yield renew
    except FleetRolloutError:
        if not may_exist:
            with suppress(FleetRolloutError):
                keys.delete(key, held)
        raise


@contextmanager
def _races_in_progress() -> Iterator[None]:
    try:
        yield
    except LostRaceError as error:
        raise InProgressError(_UNDER_WAY) from error
