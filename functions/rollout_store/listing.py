"""Lists: of rollouts, of a rollout's device updates, of its events; each with a cursor."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from functions.rollout_store import block_rows, keys, rollout_rows
from functions.rollout_store.plain import joined
from functions.rollout_store.port import CursorError, Page, Snapshot
from functions.rollout_store.table import Table, check_cursor, to_cursor, to_row_key
from functions.rollouts.model.device_update import DeviceState, DeviceUpdate
from functions.rollouts.model.rollout import BLOCK_SIZE, Block, Event, Rollout, RolloutStatus

# Rollouts of a page are read side by side.
READ_THREADS = 8
_BLOCKS = "PartitionKey eq @partition and RowKey gt @after and RowKey lt @before"


class _Blocks(Protocol):
    def with_blocks(self, snapshot: Snapshot, numbers: Sequence[int]) -> Snapshot: ...


class Listing:
    """Reads through the same table as the store."""

    def __init__(self, table: Table, snapshot: Callable[[str], Snapshot | None]) -> None:
        self._table = table
        self._snapshot = snapshot
        self._threads = ThreadPoolExecutor(READ_THREADS, "rollout-list")

    def rollouts(
        self, status: RolloutStatus | None, limit: int, cursor: str | None
    ) -> Page[Rollout]:
        """An open rollout's status stands in its own row only, so those are read and looked at."""
        check_cursor(cursor, keys.is_rollout_id)
        text = "PartitionKey eq @partition"
        if status is not None:
            text += " and (status eq @status or open eq true)"
        values = {"partition": keys.ROLLOUTS, "status": status.value if status else ""}
        found: list[Rollout] = []
        while True:
            rows, more = self._table.page(text, values, limit - len(found), cursor)
            ids = [str(row.values["RowKey"]) for row in rows]
            found += [
                snapshot.rollout
                for snapshot in self._threads.map(self._snapshot, ids)
                if snapshot is not None and status in {None, snapshot.rollout.status}
            ]
            if more is None or len(found) >= limit:
                return Page(found, more)
            cursor = more

    def open_rollout_ids(self) -> Sequence[str]:
        rows = self._table.query(
            "PartitionKey eq @partition and open eq true", {"partition": keys.ROLLOUTS}, ["RowKey"]
        )
        return [row.values["RowKey"] for row in rows]

    def blocks_with(self, rollout_id: str, states: Sequence[DeviceState]) -> Sequence[int]:
        wanted = block_rows.has_any(tuple(states))
        rows = self._table.query(f"{_BLOCKS} and ({wanted})", _block_values(rollout_id), ["RowKey"])
        numbers = [keys.block_number(row.values["RowKey"]) for row in rows]
        if numbers:
            return numbers
        snapshot = self._snapshot(rollout_id)
        inside = snapshot.blocks.get(0) if snapshot else None
        updates = inside.updates if inside else ()
        return [0] if any(update.state in states for update in updates) else []

    def all_blocks(self, rollout_id: str) -> Iterator[Block]:
        for row in self._table.query(_BLOCKS, _block_values(rollout_id)):
            block = block_rows.block_from_row(keys.block_number(row.values["RowKey"]), row.values)
            if block is not None:
                yield block

    def updates_page(
        self,
        store: _Blocks,
        snapshot: Snapshot,
        state: DeviceState | None,
        limit: int,
        cursor: str | None,
    ) -> Page[DeviceUpdate]:
        first = _place(cursor)
        numbers: Sequence[int] = range(len(snapshot.rollout.marks))
        if state is not None:
            numbers = self.blocks_with(snapshot.rollout.id, [state])
        found: list[DeviceUpdate] = []
        for number in numbers:
            if (number + 1) * BLOCK_SIZE <= first:
                continue
            block = store.with_blocks(snapshot, [number]).blocks[number]
            for place, update in enumerate(block.updates, number * BLOCK_SIZE):
                if place < first or state not in {None, update.state}:
                    continue
                if len(found) == limit:
                    return Page(found, to_cursor(str(place)))
                found.append(update)
        return Page(found, None)

    def events(self, rollout: Rollout, limit: int, cursor: str | None) -> Page[Event]:
        first = _place(cursor)
        kept_from = rollout.event_count - len(rollout.events)
        known: list[Event] = []
        begin = kept_from
        if first < kept_from:
            begin, known = self._older_events(rollout.id, first)
        # Some may have been given away since the rollout was read.
        known = [*known[: kept_from - begin], *rollout.events]
        wanted = known[first - begin : first - begin + limit]
        more = first + limit < rollout.event_count
        return Page(wanted, to_cursor(str(first + limit)) if more else None)

    def _older_events(self, rollout_id: str, first: int) -> tuple[int, list[Event]]:
        """The older events from some place at or before `first` on."""
        after, before = keys.events_range()
        values = {"partition": keys.rollout_partition(rollout_id), "after": after, "before": before}
        begin: int | None = None
        events: list[Event] = []
        for row in self._table.query(_BLOCKS, values):
            number = int(row.values["RowKey"].removeprefix(after))
            found = rollout_rows.events_from_json(joined("events", row.values))
            if number + len(found) > first:
                begin = number if begin is None else begin
                events += found
        return begin or 0, events


def _block_values(rollout_id: str) -> dict[str, str]:
    after, before = keys.block_range()
    return {"partition": keys.rollout_partition(rollout_id), "after": after, "before": before}


def _place(cursor: str | None) -> int:
    if cursor is None:
        return 0
    text = to_row_key(cursor)
    if not (text.isascii() and text.isdecimal() and len(text) < 10):  # noqa: PLR2004 - no place has ten digits
        raise CursorError("not one that this API gave out")
    return int(text)
