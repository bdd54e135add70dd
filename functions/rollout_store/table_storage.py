"""The store on Azure Table Storage: which rows hold a record, and in which order they are written.

A rollout is listed and open before its own row exists, and closed after its own row says that it
is over; so whatever a crash leaves behind is either never seen or put right by the next tick.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from azure.core.credentials import TokenCredential

from functions.errors import LostRaceError
from functions.rollout_store import block_rows, keys, other_rows, rollout_rows
from functions.rollout_store.listing import Listing
from functions.rollout_store.port import DeviceLock, KeyUse, Page, Snapshot, Stored
from functions.rollout_store.table import Row, Table, check_cursor, open_table, to_cursor
from functions.rollouts.model.device_update import DeviceState, DeviceUpdate
from functions.rollouts.model.rollout import Block, Event, Firmware, Rollout, RolloutStatus
from functions.rollouts.rollout.pacing import Budget
from functions.rollouts.rollout.start_order import TargetDevice

# Rows of history in one request; most of them name other devices.
HISTORY_ROWS = 200
_ONE_PARTITION = "PartitionKey eq @partition and RowKey gt @after and RowKey lt @before"


def open_table_store(source: str, credential: TokenCredential | None) -> "TableStore":
    """The store at `source`, a connection string or, with a credential, a table service's URL.

    Raises SettingsError, StorageUnavailableError.
    """
    return TableStore(open_table(keys.TABLE, source, credential))


class TableStore:
    """Implements `port.RolloutStore`; safe to share between threads."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._listing = Listing(table, self.snapshot)
        self._remembered: set[Firmware] = set()

    # -- rollouts ----------------------------------------------------------------------------

    def add_rollout(self, rollout: Rollout, blocks: Sequence[Block] = ()) -> Snapshot:
        with suppress(LostRaceError):  # listed already, by whoever died before the next line
            self._table.write(rollout_rows.index_to_row(rollout), None)
        return self._write(None, rollout, {block.number: block for block in blocks}, blocks, ())

    def snapshot(self, rollout_id: str) -> Snapshot | None:
        if not keys.is_rollout_id(rollout_id):
            return None
        row = self._table.get(keys.rollout_partition(rollout_id), keys.ROLLOUT_ROW)
        if row is None:
            return None
        inside = block_rows.block_from_row(0, row.values)
        blocks = {} if inside is None else {0: inside}
        return Snapshot(rollout_rows.rollout_from_row(row.values), row.version, blocks)

    def with_blocks(self, snapshot: Snapshot, numbers: Sequence[int]) -> Snapshot:
        partition = keys.rollout_partition(snapshot.rollout.id)
        blocks = dict(snapshot.blocks)
        for number in numbers:
            if number in snapshot.blocks:
                continue
            row = self._table.get(partition, keys.block_row(number))
            block = block_rows.block_from_row(number, row.values) if row else None
            if block is not None:
                blocks[number] = block
        return replace(snapshot, blocks=blocks)

    def save(
        self,
        snapshot: Snapshot,
        rollout: Rollout,
        blocks: Sequence[Block] = (),
        spilled: Sequence[Event] = (),
    ) -> Snapshot:
        was_over = snapshot.rollout.is_over
        if was_over and not rollout.is_over:
            self._table.put([rollout_rows.index_to_row(rollout)])
        known = {**snapshot.blocks, **{block.number: block for block in blocks}}
        saved = self._write(snapshot.version, rollout, known, blocks, spilled)
        if rollout.is_over:
            self._close(rollout)
        elif was_over:  # whoever closed it late did so perhaps between the two writes
            self._table.put([rollout_rows.index_to_row(rollout)])
        return saved

    def _close(self, rollout: Rollout) -> None:
        """Close it in the list, unless it was reopened since its own row was written."""
        self._table.put([rollout_rows.index_to_row(rollout)])
        now = self.snapshot(rollout.id)
        if now is not None and not now.rollout.is_over:
            self._table.put([rollout_rows.index_to_row(now.rollout)])

    def _write(
        self,
        version: str | None,
        rollout: Rollout,
        known: Mapping[int, Block],
        changed: Sequence[Block],
        spilled: Sequence[Event],
    ) -> Snapshot:
        row = rollout_rows.rollout_to_row(rollout)
        others: list[Row] = []
        if len(rollout.marks) == 1 and 0 in known:  # its devices have room in its own row
            row |= block_rows.block_columns(known[0])
        else:
            others += [block_rows.block_to_row(rollout.id, block) for block in changed]
        if spilled:
            first = rollout.event_count - len(rollout.events) - len(spilled)
            others.append(rollout_rows.events_to_row(rollout.id, first, spilled))
        return Snapshot(rollout, self._table.write(row, version, others), known)

    def rollouts(
        self, status: RolloutStatus | None, limit: int, cursor: str | None
    ) -> Page[Rollout]:
        return self._listing.rollouts(status, limit, cursor)

    def open_rollout_ids(self) -> Sequence[str]:
        return self._listing.open_rollout_ids()

    def blocks_with(self, rollout_id: str, states: Sequence[DeviceState]) -> Sequence[int]:
        return self._listing.blocks_with(rollout_id, states)

    def find(self, snapshot: Snapshot, device_id: str) -> DeviceUpdate | None:
        small = len(snapshot.rollout.marks) == 1
        number = 0 if small else self._block_of(snapshot.rollout.id, device_id)
        return None if number is None else self._update(snapshot, number, device_id)

    def _block_of(self, rollout_id: str, device_id: str) -> int | None:
        after, before = keys.history_range(rollout_id)
        partition = keys.history_partition(keys.history_bucket(device_id))
        values = {"partition": partition, "after": after, "before": before}
        rows = self._table.query(_ONE_PARTITION, values)
        numbers = (other_rows.block_in_history(row.values, device_id) for row in rows)
        return next((number for number in numbers if number is not None), None)

    def _update(self, snapshot: Snapshot, number: int, device_id: str) -> DeviceUpdate | None:
        block = self.with_blocks(snapshot, [number]).blocks.get(number)
        updates = block.updates if block else ()
        return next((update for update in updates if update.device_id == device_id), None)

    def updates_page(
        self, snapshot: Snapshot, state: DeviceState | None, limit: int, cursor: str | None
    ) -> Page[DeviceUpdate]:
        return self._listing.updates_page(self, snapshot, state, limit, cursor)

    def device_ids(self, snapshot: Snapshot) -> Sequence[str]:
        if 0 in snapshot.blocks and len(snapshot.rollout.marks) == 1:
            return [update.device_id for update in snapshot.blocks[0].updates]
        blocks = self._listing.all_blocks(snapshot.rollout.id)
        return [update.device_id for block in blocks for update in block.updates]

    def events(self, snapshot: Snapshot, limit: int, cursor: str | None) -> Page[Event]:
        return self._listing.events(snapshot.rollout, limit, cursor)

    # -- what a rollout's devices are gathered from ------------------------------------------

    def add_target_part(
        self, rollout_id: str, number: int, members: Sequence[TargetDevice]
    ) -> None:
        self._table.put([other_rows.target_to_row(rollout_id, number, members)])

    def target_parts(self, rollout_id: str, first: int, end: int) -> Sequence[TargetDevice]:
        if first >= end:
            return []
        values = {
            "partition": keys.rollout_partition(rollout_id),
            "after": keys.target_row(first),
            "before": keys.target_row(end),
        }
        text = "PartitionKey eq @partition and RowKey ge @after and RowKey lt @before"
        rows = self._table.query(text, values)
        return [member for row in rows for member in other_rows.target_from_row(row.values)]

    def add_history(self, rollout_id: str, places: Mapping[str, int]) -> None:
        for row in other_rows.history_to_rows(rollout_id, places):
            self._table.put([row])

    def history(
        self, device_id: str, limit: int, cursor: str | None
    ) -> Page[tuple[Rollout, DeviceUpdate]]:
        check_cursor(cursor, keys.is_history_row)
        partition = keys.history_partition(keys.history_bucket(device_id))
        found: list[tuple[Rollout, DeviceUpdate]] = []
        while True:
            rows, cursor = self._table.page(
                "PartitionKey eq @partition", {"partition": partition}, HISTORY_ROWS, cursor
            )
            for row in rows:
                number = other_rows.block_in_history(row.values, device_id)
                entry = None if number is None else self._taken_part(row.values, number, device_id)
                if entry is not None:
                    found.append(entry)
                if len(found) == limit:
                    last = row is rows[-1] and cursor is None
                    return Page(found, None if last else to_cursor(row.values["RowKey"]))
            if cursor is None:
                return Page(found, None)

    def _taken_part(
        self, row: Mapping[str, Any], number: int, device_id: str
    ) -> tuple[Rollout, DeviceUpdate] | None:
        """The rollout and the update that a row of history tells of, if they came to be."""
        snapshot = self.snapshot(row["rolloutId"])
        update = self._update(snapshot, number, device_id) if snapshot else None
        return (snapshot.rollout, update) if snapshot and update else None

    # -- firmware seen -----------------------------------------------------------------------

    def remember_firmware(self, firmware: Firmware) -> None:
        if firmware not in self._remembered:
            self._table.put([other_rows.firmware_to_row(firmware)])
            self._remembered = {
                known for known in self._remembered if known.version != firmware.version
            } | {firmware}

    def known_firmware(self, version: str) -> Firmware | None:
        row = self._table.get(keys.FIRMWARE, keys.firmware_row(version))
        return other_rows.firmware_from_row(row.values) if row else None

    # -- the hub's quotas --------------------------------------------------------------------

    def pace(self) -> Stored[Budget] | None:
        row = self._table.get(keys.PACE, keys.PACE_ROW)
        return Stored(other_rows.pace_from_row(row.values), row.version) if row else None

    def save_budget(self, pace: Budget, version: str | None) -> str:
        return self._table.write(other_rows.pace_to_row(pace), version)

    # -- devices in hand ---------------------------------------------------------------------

    def hold(self, device_id: str) -> Stored[DeviceLock] | None:
        row = self._table.get(keys.hold_partition(device_id), keys.device_row(device_id))
        return Stored(other_rows.hold_from_row(row.values), row.version) if row else None

    def add_device_lock(self, device_id: str, hold: DeviceLock) -> None:
        self._table.write(other_rows.hold_to_row(device_id, hold), None)

    def save_device_lock(self, device_id: str, hold: Stored[DeviceLock]) -> None:
        self._table.write(other_rows.hold_to_row(device_id, hold.record), hold.version)

    # -- idempotency keys --------------------------------------------------------------------

    def key_use(self, key: str) -> Stored[KeyUse] | None:
        row = self._table.get(keys.idempotency_partition(key), keys.idempotency_row(key))
        return Stored(other_rows.key_use_from_row(row.values), row.version) if row else None

    def use_key(self, key: str, use: KeyUse) -> Stored[KeyUse]:
        return Stored(use, self._table.write(other_rows.key_use_to_row(key, use), None))

    def save_key(self, key: str, use: Stored[KeyUse]) -> Stored[KeyUse]:
        row = other_rows.key_use_to_row(key, use.record)
        return Stored(use.record, self._table.write(row, use.version))

    def release_key(self, key: str, use: Stored[KeyUse]) -> None:
        self._table.delete(keys.idempotency_partition(key), keys.idempotency_row(key), use.version)

    def ping(self) -> None:
        self._table.get(keys.ROLLOUTS, "none")
