"""Store rollouts on Table Storage: which rows hold one, and in which order they are written.

A rollout is listed as open before its own row exists, and as closed after its own row says that
it is over. What a crash leaves behind is therefore invisible, or the next tick completes it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from functions.errors import LostRaceError
from functions.rollout_store.ports.records import Page
from functions.rollout_store.ports.rollout_ids import is_rollout_id
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollout_store.ports.update_filter import UpdateFilter
from functions.rollout_store.table_storage import block_rows, keys, list_rows, rollout_rows
from functions.rollout_store.table_storage.history_rows import (
    find_block_numbers,
    group_by_bucket,
    read_rows,
)
from functions.rollout_store.table_storage.later_columns import LATER_COLUMNS, later_from_row
from functions.rollout_store.table_storage.rollout_lists import RolloutLists
from functions.rollout_store.table_storage.rollout_rows import (
    freeze_of_row,
    frozen_from_row,
)
from functions.rollout_store.table_storage.table import Row, Table
from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.block import Block, assign_waves
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.freeze import Freeze
from functions.rollouts.model.later_rollouts import LaterRollouts
from functions.rollouts.model.rollout import Rollout, RolloutStatus

# More blocks than this are read as ranges of neighbours, in fewer requests.
MAX_SINGLE_READS = 8


class TableRolloutStore:
    """Implement `ports.rollouts.RolloutStore`."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._lists = RolloutLists(table, self)
        self._announced: set[str] = set()  # ids of the rollouts that are about to be added

    def announce(self, rollout: Rollout) -> None:
        row = list_rows.list_entry_to_row(rollout)
        try:
            self._table.write(row, None)
        except LostRaceError:  # listed by a process that crashed before `add`
            self._table.put([row])
        self._announced.add(rollout.id)

    def add(self, rollout: Rollout, blocks: Sequence[Block] = ()) -> Snapshot:
        if rollout.id not in self._announced:
            self.announce(rollout)
        self._announced.discard(rollout.id)
        return self._write(None, rollout, {block.number: block for block in blocks}, blocks, ())

    def get(self, rollout_id: str) -> Snapshot | None:
        if not is_rollout_id(rollout_id):
            return None
        row = self._table.get(keys.rollout_partition(rollout_id), keys.ROLLOUT_ROW)
        if row is None:
            return None
        rollout = rollout_rows.rollout_from_row(row.values)
        own_block = block_rows.block_from_row(0, row.values)
        blocks = {} if own_block is None else {0: assign_waves(own_block, rollout.waves)}
        return Snapshot(rollout, row.version, blocks)

    def get_status(
        self, rollout_id: str
    ) -> tuple[RolloutStatus, LaterRollouts, frozenset[int], Freeze | None] | None:
        partition = keys.rollout_partition(rollout_id)
        columns = ["status", *LATER_COLUMNS, "frozenStrata", "freeze"]
        row = self._table.get(partition, keys.ROLLOUT_ROW, columns)
        if row is None:
            return None
        values = row.values
        status, later = RolloutStatus(values["status"]), later_from_row(values)
        return status, later, frozen_from_row(values), freeze_of_row(values)

    def get_revision(self, rollout_id: str) -> tuple[int, bool] | None:
        if not is_rollout_id(rollout_id):
            return None
        partition = keys.rollout_partition(rollout_id)
        row = self._table.get(partition, keys.ROLLOUT_ROW, ["revision", "endedAt"])
        if row is None:
            return None
        return row.values["revision"], row.values.get("endedAt") is not None

    def get_blocks(self, snapshot: Snapshot, numbers: Sequence[int]) -> Snapshot:
        missing = [number for number in numbers if number not in snapshot.blocks]
        if len(missing) > MAX_SINGLE_READS:
            read = self._lists.read_chosen_blocks(snapshot.rollout.id, missing)
        else:
            read = self._read_single_blocks(snapshot.rollout.id, missing)
        waves = snapshot.rollout.waves
        found = {block.number: assign_waves(block, waves) for block in read}
        return replace(snapshot, blocks={**snapshot.blocks, **found})

    def _read_single_blocks(self, rollout_id: str, numbers: Sequence[int]) -> Iterator[Block]:
        for number in numbers:
            row = self._table.get(keys.rollout_partition(rollout_id), keys.block_row(number))
            block = block_rows.block_from_row(number, row.values) if row else None
            if block is not None:
                yield block

    def save(
        self,
        snapshot: Snapshot,
        rollout: Rollout,
        blocks: Sequence[Block] = (),
        older_events: Sequence[Event] = (),
    ) -> Snapshot:
        was_over = snapshot.rollout.is_over
        if was_over and not rollout.is_over:
            self._write_list_entry(rollout)
        known = {**snapshot.blocks, **{block.number: block for block in blocks}}
        if rollout.wave_ends != snapshot.rollout.wave_ends:
            known = {number: assign_waves(known[number], rollout.waves) for number in known}
        if _has_one_block(snapshot.rollout) and not _has_one_block(rollout):
            # Devices joined, and the rollout's own row no longer holds its first block.
            blocks = [known[0], *(block for block in blocks if block.number)]
        saved = self._write(snapshot.version, rollout, known, blocks, older_events)
        if rollout.is_over:
            self._close(rollout)
        elif was_over:  # a late close may have come between the two writes
            self._write_list_entry(rollout)
        return saved

    def _close(self, rollout: Rollout) -> None:
        """List the rollout as closed, unless another request has reopened it since its write."""
        self._write_list_entry(rollout)
        if rollout.ended_at is not None and not rollout.is_followed:
            ended = list_rows.end_to_row(rollout.id, rollout.ended_at)
            self._table.delete_all(keys.ROLLOUTS, [rollout.id], [ended])
        now = self.get(rollout.id)
        if now is not None and not now.rollout.is_over:
            self._write_list_entry(now.rollout)

    def _write_list_entry(self, rollout: Rollout) -> None:
        self._table.put([list_rows.list_entry_to_row(rollout)])

    def _write(
        self,
        version: str | None,
        rollout: Rollout,
        known: Mapping[int, Block],
        changed: Sequence[Block],
        older_events: Sequence[Event],
    ) -> Snapshot:
        row = rollout_rows.rollout_to_row(rollout)
        others: list[Row] = []
        if _has_one_block(rollout) and 0 in known:  # its own row holds its devices
            row |= block_rows.block_to_columns(known[0], row)
        else:
            others += [block_rows.block_to_row(rollout.id, block) for block in changed]
        if older_events:
            first = rollout.audit.event_count - len(rollout.audit.events) - len(older_events)
            others.append(rollout_rows.events_to_row(rollout.id, first, older_events))
        return Snapshot(rollout, self._table.write(row, version, others), known)

    def list_rollouts(
        self, status: RolloutStatus | None, limit: int, cursor: str | None
    ) -> Page[Rollout]:
        return self._lists.list_rollouts(status, limit, cursor)

    def list_open_ids(self) -> Sequence[str]:
        return self._lists.list_open_ids()

    def list_later_ids(self, rollout_id: str, since: datetime) -> Sequence[str]:
        return self._lists.list_later_ids(rollout_id, since)

    def list_ended_ids(self, since: datetime) -> Sequence[str]:
        return self._lists.list_ended_ids(since)

    def list_blocks_with(self, rollout_id: str, states: Sequence[DeviceState]) -> Sequence[int]:
        return self._lists.list_blocks_with(rollout_id, states)

    def find_blocks(self, snapshot: Snapshot, device_ids: Sequence[str]) -> Mapping[str, int]:
        if _has_one_block(snapshot.rollout):
            own = self.list_device_ids(snapshot)
            return dict.fromkeys(set(own).intersection(device_ids), 0)
        ranges = keys.history_ranges(snapshot.rollout.id)
        found: dict[str, int] = {}
        for bucket, wanted in group_by_bucket(device_ids).items():
            for row in read_rows(self._table, bucket, ranges):
                found |= find_block_numbers(row, wanted)
        return found

    def get_update(self, snapshot: Snapshot, device_id: str) -> DeviceUpdate | None:
        number = self.find_blocks(snapshot, [device_id]).get(device_id)
        if number is None:
            return None
        block = self.get_blocks(snapshot, [number]).blocks.get(number)
        return block.find(device_id) if block else None

    def list_updates(
        self,
        snapshot: Snapshot,
        chosen: UpdateFilter,
        limit: int,
        cursor: str | None,
        first: int = 0,
    ) -> Page[DeviceUpdate]:
        return self._lists.list_updates(snapshot, chosen, limit, cursor, first)

    def list_device_ids(self, snapshot: Snapshot) -> Sequence[str]:
        if 0 in snapshot.blocks and _has_one_block(snapshot.rollout):
            return [update.device_id for update in snapshot.blocks[0].updates]
        blocks = self._lists.read_blocks(snapshot.rollout.id)
        return [update.device_id for block in blocks for update in block.updates]

    def list_events(self, snapshot: Snapshot, limit: int, cursor: str | None) -> Page[Event]:
        return self._lists.list_events(snapshot.rollout, limit, cursor)

    def list_events_from(self, snapshot: Snapshot, first: int, limit: int) -> Sequence[Event]:
        return self._lists.list_events_from(snapshot.rollout, first, limit)


def _has_one_block(rollout: Rollout) -> bool:
    return len(rollout.block_summaries) == 1
