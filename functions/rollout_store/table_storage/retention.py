"""Find ended rollouts in the order of their ends, and remove them from Table Storage.

A removal writes down what else it has to delete, then deletes the rollout's record: from then on
the rollout does not exist. The other rows follow, and the written note goes last, so a removal
that stops anywhere is found and continued.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import batched, chain
from typing import Any

from functions.errors import LostRaceError
from functions.rollout_store.ports.retention import EndedRollout, TickWork
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollout_store.table_storage import keys, list_rows
from functions.rollout_store.table_storage.history_rows import group_by_bucket, read_block_numbers
from functions.rollout_store.table_storage.rollout_lists import ENDS
from functions.rollout_store.table_storage.table import (
    BETWEEN,
    MAX_ROWS_PER_TRANSACTION,
    PARTITION,
    StoredRow,
    Table,
)
from functions.rollout_store.table_storage.values import to_json, to_optional_time

# Ended rollouts that one tick reads of each kind, at most.
MAX_EXPIRED = 50
MAX_MISPLACED = 100
# Buckets of the history after which a removal notes those that are left. A search of one that is
# empty takes two requests.
_BUCKETS_PER_NOTE = 4
_UNTIL = f"{PARTITION} and RowKey lt @end"
_OPEN_AFTER = f"{PARTITION} and RowKey gt @after and RowKey lt '{keys.END_ROWS}' and open eq true"
_AFTER = f"{PARTITION} and RowKey gt @after"


class TableRetentionStore:
    """Implement `ports.retention.RetentionStore`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def list_work(self, ended_before: datetime | None) -> TickWork:
        end = keys.end_rows_before(ended_before) if ended_before else keys.END_ROWS
        values = {"partition": keys.ROLLOUTS, "end": end}
        open_ids: list[str] = []
        misplaced: list[str] = []
        expired: list[EndedRollout] = []
        for row in self._table.query(_UNTIL, values, ["RowKey", "open", "traces"]):
            key = str(row.values["RowKey"])
            if key.startswith(keys.END_ROWS):
                traces = str(row.values.get("traces") or "")
                expired.append(EndedRollout(keys.ended_rollout(key), key, traces))
            else:
                (open_ids if row.values.get("open") else misplaced).append(key)
            if len(expired) == MAX_EXPIRED:
                break
            if len(misplaced) == MAX_MISPLACED:  # so the others need not be read
                open_ids += self._list_open_after(key)
                break
        return TickWork(open_ids=open_ids, misplaced_ids=misplaced, expired=expired)

    def _list_open_after(self, key: str) -> Sequence[str]:
        values = {"partition": keys.ROLLOUTS, "after": key}
        return [row.values["RowKey"] for row in self._table.query(_OPEN_AFTER, values, ["RowKey"])]

    def has_earlier(self, rollout_id: str) -> bool:
        for end in ENDS:
            values = {"partition": keys.ended_partition(end), "after": rollout_id}
            if next(self._table.query(_AFTER, values, ["RowKey"], limit=1), None):
                return True
        return False

    def postpone(self, ended: EndedRollout, listed_at: datetime) -> None:
        row = list_rows.end_to_row(ended.id, listed_at, ended.traces)
        self._table.delete_all(keys.ROLLOUTS, [ended.key], [row])

    def abandon(self, rollout_id: str, before: datetime) -> None:
        row = self._table.get(keys.ROLLOUTS, rollout_id)
        announced_at = to_optional_time(row.values.get("createdAt")) if row else None
        if row is None or announced_at is None or announced_at >= before:
            return
        with suppress(LostRaceError):  # it was announced again
            ended = list_rows.end_to_row(rollout_id, before)
            self._table.replace(keys.ROLLOUTS, rollout_id, row.version, ended)

    def forget(self, ended: EndedRollout) -> None:
        self._table.delete_all(keys.ROLLOUTS, [ended.key])

    def remove(self, ended: EndedRollout, snapshot: Snapshot | None) -> Iterator[None]:
        if snapshot is not None:
            ended = self._note(ended, _find_traces(snapshot))
            partition = keys.rollout_partition(ended.id)
            self._table.delete(partition, keys.ROLLOUT_ROW, snapshot.version)
            yield
        traces = json.loads(ended.traces or "{}")
        yield from self._remove_rows(ended.id)
        yield from self._remove_history(ended, traces)
        self._remove_key(ended.id, traces.get("key"))
        for end in ENDS:
            self._table.delete_all(keys.ended_partition(end), [ended.id])
        self._table.delete_all(keys.ROLLOUTS, [ended.id, ended.key])

    def _note(self, ended: EndedRollout, traces: Mapping[str, Any]) -> EndedRollout:
        """Store what is left to remove. Return the entry with it."""
        noted = replace(ended, traces=to_json(traces))
        row = {"PartitionKey": keys.ROLLOUTS, "RowKey": ended.key, "traces": noted.traces}
        self._table.put([row])
        return noted

    def _remove_rows(self, rollout_id: str) -> Iterator[None]:
        """Remove blocks, parts of the target, and older events."""
        partition = keys.rollout_partition(rollout_id)
        yield from self._remove_found(partition, PARTITION, {"partition": partition})

    def _remove_history(self, ended: EndedRollout, traces: Mapping[str, Any]) -> Iterator[None]:
        """Remove in which block each device was. The buckets that are left are noted."""
        buckets = traces.get("buckets", range(keys.HISTORY_BUCKETS))
        parts = list(batched(buckets, _BUCKETS_PER_NOTE, strict=False))
        for number, part in enumerate(parts, start=1):
            for bucket in part:
                yield from self._remove_bucket(ended.id, keys.history_partition(bucket))
            if number < len(parts):
                left = list(chain.from_iterable(parts[number:]))
                self._note(ended, {**traces, "buckets": left})
                yield

    def _remove_bucket(self, rollout_id: str, partition: str) -> Iterator[None]:
        after, before = keys.history_range(rollout_id)
        values = {"partition": partition, "after": after, "before": before}
        yield from self._remove_found(partition, BETWEEN, values)
        yield from self._remove_by_device(rollout_id, partition)

    def _remove_by_device(self, rollout_id: str, partition: str) -> Iterator[None]:
        """Remove history rows that have rows by device beside them, and these before."""
        after, before = keys.history_range(rollout_id, small=True)
        values = {"partition": partition, "after": after, "before": before}
        for row in list(self._table.query(BETWEEN, values)):
            by_device = [
                keys.device_history_row(device_id, rollout_id)
                for device_id in read_block_numbers(row.values)
            ]
            self._table.delete_all(partition, [*by_device, str(row.values["RowKey"])])
            yield

    def _remove_found(self, partition: str, text: str, values: Mapping[str, str]) -> Iterator[None]:
        """Remove the rows that a filter finds, one transaction's worth at a time."""
        while found := self._read_keys(text, values):
            self._table.delete_all(partition, found)
            yield
            if len(found) < MAX_ROWS_PER_TRANSACTION:
                return

    def _read_keys(self, text: str, values: Mapping[str, str]) -> Sequence[str]:
        rows = self._table.query(text, values, ["RowKey"], limit=MAX_ROWS_PER_TRANSACTION)
        return [str(row.values["RowKey"]) for row in rows]

    def _remove_key(self, rollout_id: str, key_hash: str | None) -> None:
        """Remove the idempotency key, unless it has been used again since."""
        if key_hash is None:
            return
        partition = keys.idempotency_partition_of(key_hash)
        row: StoredRow | None = self._table.get(partition, key_hash)
        if row is not None and row.values["rolloutId"] == rollout_id:
            with suppress(LostRaceError):
                self._table.delete(partition, key_hash, row.version)


def _find_traces(snapshot: Snapshot) -> dict[str, Any]:
    """Return what only a rollout's record tells of its other rows.

    A rollout of few devices has rows in few buckets; others are searched in all of them.
    """
    rollout, block = snapshot.rollout, snapshot.blocks.get(0)
    traces: dict[str, Any] = {"key": rollout.definition.key_hash}
    if block is not None and len(rollout.block_summaries) == 1:
        device_ids = [update.device_id for update in block.updates]
        traces["buckets"] = sorted(group_by_bucket(device_ids))
    return traces
