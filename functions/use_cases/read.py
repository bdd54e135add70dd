"""Look at rollouts, device updates and a device's history, without changing anything."""

from collections.abc import Sequence
from dataclasses import dataclass

from functions.errors import UnknownError
from functions.rollout_store.port import Page, RolloutStore
from functions.rollouts.model import (
    Counts,
    DeviceState,
    DeviceUpdate,
    Rollout,
    RolloutStatus,
    count,
)


@dataclass(frozen=True, slots=True)
class Overview:
    """A rollout with its counts as they are now."""

    rollout: Rollout
    counts: Counts


def rollout(store: RolloutStore, rollout_id: str) -> Overview:
    """Raises UnknownError, StorageUnavailableError; so do all reads of this module."""
    return overview(store, _known(store, rollout_id))


def has_ended(store: RolloutStore, rollout_id: str) -> bool:
    return _known(store, rollout_id).status.ended


def rollouts(
    store: RolloutStore, status: RolloutStatus | None, limit: int, cursor: str | None
) -> Page[Overview]:
    page = store.rollouts(status, limit, cursor)
    return Page([overview(store, item) for item in page.items], page.cursor)


def device_updates(
    store: RolloutStore, rollout_id: str, state: DeviceState | None, limit: int, cursor: str | None
) -> Page[DeviceUpdate]:
    known = _known(store, rollout_id)
    return store.updates_page(known.id, state, limit, cursor)


def device_update(store: RolloutStore, rollout_id: str, device_id: str) -> DeviceUpdate:
    known = _known(store, rollout_id)
    stored = store.update(known.id, device_id)
    if stored is None:
        raise UnknownError(f"Rollout {known.id} has no device {device_id!r}.")
    return stored.record


def device_history(
    store: RolloutStore, device_id: str, limit: int, cursor: str | None
) -> Page[tuple[Rollout, DeviceUpdate]]:
    return store.history(device_id, limit, cursor)


def overview(store: RolloutStore, item: Rollout, updates: Sequence[DeviceUpdate] = ()) -> Overview:
    """`item` with its counts: the final ones, or of `updates` if they are known, or as stored."""
    if item.final_counts:
        return Overview(item, item.final_counts)
    states = [update.state for update in updates] or store.states(item.id)
    return Overview(item, count(states))


def _known(store: RolloutStore, rollout_id: str) -> Rollout:
    stored = store.rollout(rollout_id)
    if stored is None:
        raise UnknownError(f"There is no rollout {rollout_id[:64]!r}.")
    return stored.record
