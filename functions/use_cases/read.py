"""Look at rollouts, device updates and a device's history, without changing anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from functions.errors import UnknownError
from functions.rollout_store.ports.records import Page
from functions.rollout_store.ports.rollouts import RolloutStore, Snapshot
from functions.rollout_store.ports.targets import TargetStore
from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.block import BLOCK_SIZE
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.rollout import permission


@dataclass(frozen=True, slots=True)
class Explained:
    """A device update, the rollout it belongs to, and why it is where it is."""

    rollout: Rollout
    update: DeviceUpdate
    explanation: str


@dataclass(frozen=True, slots=True)
class Overview:
    """A rollout, with the ids of its devices where those were listed and are few."""

    rollout: Rollout
    device_ids: Sequence[str] | None


def get_snapshot(store: RolloutStore, rollout_id: str) -> Snapshot:
    """Raises UnknownError, StorageUnavailableError; so do all reads of this module."""
    stored = store.get(rollout_id)
    if stored is None:
        raise UnknownError(f"There is no rollout {rollout_id[:64]!r}.")
    return stored


def get_overview(store: RolloutStore, rollout_id: str) -> Overview:
    return make_overview(store, get_snapshot(store, rollout_id))


def make_overview(store: RolloutStore, snapshot: Snapshot) -> Overview:
    found = snapshot.rollout
    listed = found.definition.target.condition is None and found.resolution is None
    few = listed and 0 < found.total <= BLOCK_SIZE
    return Overview(found, store.list_device_ids(snapshot) if few else None)


def is_over(store: RolloutStore, rollout_id: str) -> bool:
    return get_snapshot(store, rollout_id).rollout.is_over


def list_rollouts(
    store: RolloutStore, status: RolloutStatus | None, limit: int, cursor: str | None
) -> Page[Rollout]:
    return store.list_rollouts(status, limit, cursor)


def list_device_updates(
    store: RolloutStore, rollout_id: str, state: DeviceState | None, limit: int, cursor: str | None
) -> tuple[Rollout, Page[DeviceUpdate]]:
    """None before all are written: until then they are in no wave."""
    snapshot = get_snapshot(store, rollout_id)
    if not snapshot.rollout.waves:
        return snapshot.rollout, Page([], None)
    return snapshot.rollout, store.list_updates(snapshot, state, limit, cursor)


def explain_device_update(
    store: RolloutStore, rollout_id: str, device_id: str, now: datetime
) -> Explained:
    snapshot = get_snapshot(store, rollout_id)
    if not snapshot.rollout.waves:
        raise UnknownError(f"The devices of rollout {snapshot.rollout.id} are not written.")
    update = store.get_update(snapshot, device_id)
    if update is None:
        raise UnknownError(f"Rollout {snapshot.rollout.id} has no device {device_id!r}.")
    return _explain(snapshot.rollout, update, now)


def list_events(
    store: RolloutStore, rollout_id: str, limit: int, cursor: str | None
) -> Page[Event]:
    return store.list_events(get_snapshot(store, rollout_id), limit, cursor)


def list_device_history(
    store: TargetStore, device_id: str, limit: int, cursor: str | None, now: datetime
) -> Page[Explained]:
    page = store.list_history(device_id, limit, cursor)
    explained = [_explain(found, update, now) for found, update in page.items if found.waves]
    return Page(explained, page.cursor)


def _explain(found: Rollout, update: DeviceUpdate, now: datetime) -> Explained:
    return Explained(found, update, permission.explanation(found, update, now))
