"""Read lists from Table Storage: rollouts, a rollout's blocks, device updates and events."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from functions.rollout_store.ports.records import Page
from functions.rollout_store.ports.rollout_ids import is_rollout_id
from functions.rollout_store.ports.rollouts import RolloutStore, Snapshot
from functions.rollout_store.ports.update_filter import UpdateFilter
from functions.rollout_store.table_storage import block_rows, keys
from functions.rollout_store.table_storage.cursors import check_cursor, to_cursor, to_position
from functions.rollout_store.table_storage.rollout_json import events_from_text
from functions.rollout_store.table_storage.table import BETWEEN, PARTITION, Table
from functions.rollout_store.table_storage.values import from_columns
from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.block import BLOCK_SIZE, Block, blocks_for
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.rollout import Rollout, RolloutStatus

# Each is read by itself, so that a page with few updates to list does not take long.
MAX_BLOCKS_PER_PAGE = 100
# The rollouts of a page are read at the same time.
READ_THREADS = 8
# Open rollouts sort before the ends of the others. Earlier releases left ended ones among them.
_LISTED_OPEN = f"PartitionKey eq @partition and RowKey lt '{keys.END_ROWS}'"
_OPEN = f"{_LISTED_OPEN} and open eq true"
_OPEN_OR_STATUS = f"{_LISTED_OPEN} and (status eq @status or open eq true)"
# The rollouts with an id before another one's were created later.
_FROM_TO = "PartitionKey eq @partition and RowKey ge @first and RowKey le @last"
# Blocks with fewer others between them are read by one query, which reads those others too.
_MAX_GAP = 16
_LATER = "PartitionKey eq @partition and RowKey lt @before"
_ENDED = "PartitionKey eq @partition and RowKey ge @since"
ENDS = (RolloutStatus.COMPLETED, RolloutStatus.FAILED, RolloutStatus.CANCELLED)


class RolloutLists:
    """Read lists for `rollouts.TableRolloutStore`, of which it uses `get` and `get_blocks`."""

    def __init__(self, table: Table, store: RolloutStore) -> None:
        self._table = table
        self._store = store
        self._threads = ThreadPoolExecutor(READ_THREADS, "rollout-list")

    def list_rollouts(
        self, status: RolloutStatus | None, limit: int, cursor: str | None
    ) -> Page[Rollout]:
        """List rollouts. Read each one's own row: its list entry has no status while it is open."""
        check_cursor(cursor, is_rollout_id)
        found: list[Rollout] = []
        while True:
            ids, more = self._read_ids(status, limit - len(found), cursor)
            found += [
                snapshot.rollout
                for snapshot in self._threads.map(self._store.get, ids)
                if snapshot is not None and status in {None, snapshot.rollout.status}
            ]
            if more is None or len(found) >= limit:
                return Page(found, more)
            cursor = more

    def _read_ids(
        self, status: RolloutStatus | None, limit: int, cursor: str | None
    ) -> tuple[Sequence[str], str | None]:
        """Return the next ids of rollouts that may have the status, and the next cursor.

        A rollout that was reopened has entries in several partitions.
        """
        is_open = {"partition": keys.ROLLOUTS, "status": status.value if status else ""}
        text = _OPEN_OR_STATUS if status else _LISTED_OPEN
        pages = [self._table.read_page(text, is_open, limit, cursor)]
        for end in ENDS if status is None else set(ENDS) & {status}:
            values = {"partition": keys.ended_partition(end)}
            pages.append(self._table.read_page(PARTITION, values, limit, cursor))
        ids = sorted({str(row.values["RowKey"]) for rows, _ in pages for row in rows})
        has_more = len(ids) > limit or any(more for _, more in pages)
        return ids[:limit], to_cursor(ids[:limit][-1]) if has_more else None

    def list_open_ids(self) -> Sequence[str]:
        rows = self._table.query(_OPEN, {"partition": keys.ROLLOUTS}, ["RowKey"])
        return sorted(str(row.values["RowKey"]) for row in rows)

    def list_later_ids(self, rollout_id: str, since: datetime) -> Sequence[str]:
        values = {"partition": keys.ROLLOUTS, "before": rollout_id}
        rows = self._table.query(_LATER, values, ["RowKey"])
        later = {str(row.values["RowKey"]) for row in rows}
        # In this order: a rollout that ends meanwhile is found before or after its move.
        later.update(key for key in self.list_ended_ids(since) if key < rollout_id)
        return sorted(later)

    def list_ended_ids(self, since: datetime) -> Sequence[str]:
        values = {"partition": keys.ROLLOUTS, "since": keys.end_rows_before(since)}
        ended = self._table.query(_ENDED, values, ["RowKey"])
        return sorted(keys.ended_rollout(str(row.values["RowKey"])) for row in ended)

    def list_blocks_with(self, rollout_id: str, states: Sequence[DeviceState]) -> Sequence[int]:
        has_state = block_rows.filter_by_states(states)
        text = f"{BETWEEN} and ({has_state})"
        rows = self._table.query(text, _block_range_values(rollout_id), ["RowKey"])
        numbers = [keys.block_number(row.values["RowKey"]) for row in rows]
        if numbers:
            return numbers
        snapshot = self._store.get(rollout_id)
        own_block = snapshot.blocks.get(0) if snapshot else None
        updates = own_block.updates if own_block else ()
        return [0] if any(update.state in states for update in updates) else []

    def read_blocks(self, rollout_id: str) -> Iterator[Block]:
        """Read all blocks that have rows of their own, in order."""
        for row in self._table.query(BETWEEN, _block_range_values(rollout_id)):
            block = block_rows.block_from_row(keys.block_number(row.values["RowKey"]), row.values)
            if block is not None:
                yield block

    def read_chosen_blocks(self, rollout_id: str, numbers: Sequence[int]) -> Iterator[Block]:
        """Read the blocks with these numbers, one query for each range of neighbours."""
        for chosen in _group_neighbours(sorted(numbers)):
            values = {
                "partition": keys.rollout_partition(rollout_id),
                "first": keys.block_row(chosen[0]),
                "last": keys.block_row(chosen[-1]),
            }
            for row in self._table.query(_FROM_TO, values):
                number = keys.block_number(row.values["RowKey"])
                block = block_rows.block_from_row(number, row.values)
                if block is not None and number in chosen:
                    yield block

    def list_updates(
        self,
        snapshot: Snapshot,
        chosen: UpdateFilter,
        limit: int,
        cursor: str | None,
        first: int,
    ) -> Page[DeviceUpdate]:
        first = first if cursor is None else to_position(cursor)
        positions = chosen.positions(snapshot.rollout)
        positions = range(max(positions.start, first), positions.stop)
        found: list[DeviceUpdate] = []
        for count, number in enumerate(self._list_blocks(snapshot.rollout, chosen, positions)):
            if count == MAX_BLOCKS_PER_PAGE:
                return Page(found, to_cursor(str(number * BLOCK_SIZE)))
            updates = self._store.get_blocks(snapshot, [number]).updates_of(number)
            for position, update in enumerate(updates, number * BLOCK_SIZE):
                if position not in positions or not chosen.matches(update):
                    continue
                if len(found) == limit:
                    return Page(found, to_cursor(str(position)))
                found.append(update)
        return Page(found, None)

    def _list_blocks(
        self, rollout: Rollout, chosen: UpdateFilter, positions: range
    ) -> Sequence[int]:
        """Return the numbers of the blocks that may have a chosen update at the positions."""
        numbers: Sequence[int] = range(len(rollout.block_summaries))
        if chosen.stored_state is not None:
            numbers = self.list_blocks_with(rollout.id, [chosen.stored_state])
        first, end = positions.start // BLOCK_SIZE, blocks_for(positions.stop)
        return [number for number in numbers if first <= number < end]

    def list_events(self, rollout: Rollout, limit: int, cursor: str | None) -> Page[Event]:
        first = to_position(cursor)
        has_more = first + limit < rollout.audit.event_count
        items = self.list_events_from(rollout, first, limit)
        return Page(items, to_cursor(str(first + limit)) if has_more else None)

    def list_events_from(self, rollout: Rollout, first: int, limit: int) -> Sequence[Event]:
        first_in_record = rollout.audit.event_count - len(rollout.audit.events)
        start, older = first_in_record, list[Event]()
        if first < first_in_record:
            start, older = self._read_older_events(rollout.id, first)
        # Another request may have moved events of this record to older rows since it was read.
        events = [*older[: first_in_record - start], *rollout.audit.events]
        return events[first - start : first - start + limit]

    def _read_older_events(self, rollout_id: str, first: int) -> tuple[int, list[Event]]:
        """Return the older events from a position at or before `first`, and that position."""
        after, before = keys.events_range()
        values = {"partition": keys.rollout_partition(rollout_id), "after": after, "before": before}
        start: int | None = None
        events: list[Event] = []
        for row in self._table.query(BETWEEN, values):
            position = int(row.values["RowKey"].removeprefix(after))
            in_row = events_from_text(from_columns("events", row.values))
            if position + len(in_row) > first:
                start = position if start is None else start
                events += in_row
        return start or 0, events


def _block_range_values(rollout_id: str) -> dict[str, str]:
    after, before = keys.block_range()
    return {"partition": keys.rollout_partition(rollout_id), "after": after, "before": before}


def _group_neighbours(numbers: Sequence[int]) -> Sequence[Sequence[int]]:
    """Divide ascending numbers where the gap between two is large."""
    groups: list[list[int]] = []
    for number in numbers:
        if not groups or number - groups[-1][-1] > _MAX_GAP:
            groups.append([])
        groups[-1].append(number)
    return groups
