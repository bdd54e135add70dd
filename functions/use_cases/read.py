"""Read rollouts, device updates and a device's history."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from functions.errors import InvalidError, UnknownError
from functions.rollout_store.ports.records import Page
from functions.rollout_store.ports.rollouts import RolloutStore, Snapshot
from functions.rollout_store.ports.targets import TargetStore
from functions.rollout_store.ports.update_filter import UpdateFilter
from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.block import BLOCK_SIZE
from functions.rollouts.model.device_state import DeviceState, ErrorCode
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.gate_view import GateView
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import FailureGate, Strategy
from functions.rollouts.rollout import gate_view, permission

# Characters of an unknown id that a message repeats.
_MAX_ID_CHARACTERS = 64
# Waves that a message names.
_MAX_NAMED = 20


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


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedUpdates:
    """Which device updates a caller wants to see; None: any."""

    state: DeviceState | None = None
    error_code: ErrorCode | None = None
    wave: str | None = None  # its name

    def check(self) -> None:
        """Raise InvalidError if no device update could ever be listed."""
        if self.error_code is not None and self.state not in {None, DeviceState.FAILED}:
            raise InvalidError(
                f"errorCode lists failed devices, and state is {self.state}, which has none. Leave"
                " one of them out."
            )

    def filter_of(self, rollout: Rollout) -> UpdateFilter:
        """Return the filter for a rollout. Raises InvalidError for an unknown wave."""
        names = [wave.name for wave in rollout.waves]
        if self.wave is not None and self.wave not in names:
            raise InvalidError(
                f"Rollout {rollout.id} has no wave {self.wave!r}. Its waves:"
                f" {', '.join(names[:_MAX_NAMED])}."
            )
        number = None if self.wave is None else names.index(self.wave)
        return UpdateFilter(state=self.state, error_code=self.error_code, wave=number)


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
    has_few = is_list and rollout.total <= BLOCK_SIZE
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
    wanted: WantedUpdates,
    limit: int,
    cursor: str | None,
    *,
    first: int = 0,
) -> tuple[Rollout, Page[DeviceUpdate]]:
    """List device updates, from position `first` on. The page is empty until all are written.

    Raises InvalidError for a wave that the rollout does not have.
    """
    snapshot = get_snapshot(store, rollout_id)
    rollout = snapshot.rollout
    if not rollout.waves:
        return rollout, Page([], None)
    return rollout, store.list_updates(snapshot, wanted.filter_of(rollout), limit, cursor, first)


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
