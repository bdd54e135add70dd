"""Read rollouts, device updates and a device's history."""

from collections.abc import Callable, Sequence
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
from functions.rollouts.model.gate_view import GateView
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import FailureGate, Strategy
from functions.rollouts.rollout import gate_view, permission

# Characters of an unknown id that a message repeats.
_MAX_ID_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class ExplainedUpdate:
    """A device update of a rollout, and why it is in its state."""

    rollout: Rollout
    update: DeviceUpdate
    explanation: str


@dataclass(frozen=True, slots=True)
class Overview:
    """A rollout and its devices, as far as one response can show them."""

    rollout: Rollout
    device_ids: Sequence[str] | None  # None: the target is a condition, or has too many devices


def get_snapshot(store: RolloutStore, rollout_id: str) -> Snapshot:
    """Read a rollout. Raises UnknownError, StorageUnavailableError, as all of this module."""
    stored = store.get(rollout_id)
    if stored is None:
        raise _unknown(rollout_id)
    return stored


def get_overview(store: RolloutStore, rollout_id: str) -> Overview:
    """Read a rollout, with the ids of its devices if it lists at most BLOCK_SIZE."""
    return complete_overview(store, get_snapshot(store, rollout_id))


def complete_overview(store: RolloutStore, snapshot: Snapshot) -> Overview:
    """Return a rollout that was read, with the ids of its devices as `get_overview`."""
    rollout = snapshot.rollout
    is_list = rollout.definition.target.condition is None and rollout.resolution is None
    has_few = is_list and 0 < rollout.total <= BLOCK_SIZE
    return Overview(rollout, store.list_device_ids(snapshot) if has_few else None)


def is_awaited(store: RolloutStore, rollout_id: str, after: int | None) -> bool:
    """Return whether the rollout has changed since the revision `after`; None: whether it is over.

    Reads two columns of one row.
    """
    found = store.get_revision(rollout_id)
    if found is None:
        raise _unknown(rollout_id)
    revision, is_over = found
    return is_over if after is None else revision > after


def list_rollouts(
    store: RolloutStore, status: RolloutStatus | None, limit: int, cursor: str | None
) -> Page[Rollout]:
    return store.list_rollouts(status, limit, cursor)


def list_device_updates(
    store: RolloutStore,
    rollout_id: str,
    state: DeviceState | None,
    limit: int,
    cursor: str | None,
    *,
    first: int = 0,
) -> tuple[Rollout, Page[DeviceUpdate]]:
    """List device updates, from position `first` on. The page is empty until all are written."""
    snapshot = get_snapshot(store, rollout_id)
    if not snapshot.rollout.waves:
        return snapshot.rollout, Page([], None)
    return snapshot.rollout, store.list_updates(snapshot, state, limit, cursor, first)


def explain_device_update(
    store: RolloutStore, rollout_id: str, device_id: str, now: datetime
) -> ExplainedUpdate:
    """Read a device update and explain its state."""
    snapshot = get_snapshot(store, rollout_id)
    if not snapshot.rollout.waves:
        raise UnknownError(
            f"Rollout {snapshot.rollout.id} is still being prepared; its devices are not available"
            " yet."
        )
    update = store.get_update(snapshot, device_id)
    if update is None:
        raise UnknownError(f"Rollout {snapshot.rollout.id} has no device {device_id!r}.")
    return explain_update(snapshot.rollout, update, now)


def preview_gate(
    store: RolloutStore, rollout_id: str, make_gate: Callable[[Strategy], FailureGate]
) -> tuple[FailureGate, Sequence[GateView]]:
    """Return another failure gate, and what it would have decided until now."""
    rollout = get_snapshot(store, rollout_id).rollout
    tried = make_gate(rollout.strategy)
    return tried, gate_view.preview(rollout, tried)


def list_events(
    store: RolloutStore, rollout_id: str, limit: int, cursor: str | None
) -> Page[Event]:
    return store.list_events(get_snapshot(store, rollout_id), limit, cursor)


def list_device_history(
    store: TargetStore, device_id: str, limit: int, cursor: str | None, now: datetime
) -> Page[ExplainedUpdate]:
    """List the device's updates with their rollouts. Leave out rollouts that are being prepared."""
    page = store.list_history(device_id, limit, cursor)
    explained = [
        explain_update(rollout, update, now) for rollout, update in page.items if rollout.waves
    ]
    return Page(explained, page.cursor)


def explain_update(rollout: Rollout, update: DeviceUpdate, now: datetime) -> ExplainedUpdate:
    """Return an update with the reason for its state."""
    return ExplainedUpdate(rollout, update, permission.explanation(rollout, update, now))


def _unknown(rollout_id: str) -> UnknownError:
    return UnknownError(f"Rollout {rollout_id[:_MAX_ID_CHARACTERS]!r} does not exist.")
