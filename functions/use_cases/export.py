"""Read all that is stored of a rollout, in parts that can be continued."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from functions.errors import UnknownError
from functions.rollout_store.ports.records import CursorError
from functions.rollout_store.ports.rollouts import RolloutStore, Snapshot
from functions.rollouts.model.audit_trail import Event
from functions.use_cases.read import (
    ExplainedUpdate,
    Overview,
    complete_overview,
    explain_update,
    get_snapshot,
)

# One read of the events goes over all older ones, so it takes many at once.
_EVENTS_AT_ONCE = 1_000
_DEVICES, _EVENTS = "devices", "events"
_FIRST = f"{_DEVICES}.0"
# No rollout has a billion blocks.
_MAX_BLOCK_DIGITS = 9


@dataclass(frozen=True, slots=True)
class ExportPart:
    """Some of what is exported, as it was read."""

    items: Sequence[Overview | ExplainedUpdate | Event]
    cursor: str | None  # continues after this part; None: this is the last part


def read_export(
    store: RolloutStore, rollout_id: str, cursor: str | None, now: datetime
) -> Iterator[ExportPart]:
    """Yield the rollout, its device updates in start order, its events, or what is after `cursor`.

    A part holds the devices of one block at most. Raises UnknownError, CursorError,
    StorageUnavailableError.
    """
    snapshot = get_snapshot(store, rollout_id)
    kind, _, position = (cursor or _FIRST).partition(".")
    if kind not in {_DEVICES, _EVENTS}:
        raise _unknown_cursor()
    if cursor is None:
        yield ExportPart([complete_overview(store, snapshot)], _FIRST)
    if kind != _EVENTS:
        yield from _read_devices(store, snapshot, _to_number(position), now)
    yield from _read_events(store, snapshot, position if kind == _EVENTS else None)


def check_not_removed(store: RolloutStore, rollout_id: str) -> None:
    """Raise UnknownError if the rollout no longer exists.

    A removal deletes the record before blocks and events. If the record exists after parts were
    read, these parts are complete.
    """
    if store.get_revision(rollout_id) is None:
        raise UnknownError(f"Rollout {rollout_id} was removed while it was exported.")


def _read_devices(
    store: RolloutStore, snapshot: Snapshot, first: int, now: datetime
) -> Iterator[ExportPart]:
    """Yield the devices from the block `first` on, none until all are written."""
    rollout = snapshot.rollout
    for number in range(first, len(rollout.block_summaries)):
        updates = store.get_blocks(snapshot, [number]).updates_of(number)
        explained = [explain_update(rollout, update, now) for update in updates]
        yield ExportPart(explained, f"{_DEVICES}.{number + 1}")


def _read_events(
    store: RolloutStore, snapshot: Snapshot, cursor: str | None
) -> Iterator[ExportPart]:
    while True:
        page = store.list_events(snapshot, _EVENTS_AT_ONCE, cursor)
        cursor = page.cursor
        yield ExportPart(page.items, None if cursor is None else f"{_EVENTS}.{cursor}")
        if cursor is None:
            return


def _to_number(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= _MAX_BLOCK_DIGITS:
        return int(text)
    raise _unknown_cursor()


def _unknown_cursor() -> CursorError:
    return CursorError("not a cursor that this export returned")
