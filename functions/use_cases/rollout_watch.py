"""Share the reads of rollouts between all requests of a process that wait for changes.

However many pages are open on a rollout, this process reads its record at most once in
MIN_READ_INTERVAL, and each of its blocks once per change. A read of blocks delays the next read of
the record, so that the average stays below one read a second for each rollout.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

from functions.errors import UnknownError
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollout_store.ports.stores import Stores
from functions.rollouts.model.block_states import BlockStates
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.rollout.block_states import states_of

MIN_READ_INTERVAL = timedelta(seconds=1.25)
# The tick's time is the same for all rollouts. A tick stores it some time after it has begun.
TICK_READ_INTERVAL = timedelta(seconds=5)
TICK_STORE_TIME = timedelta(seconds=1)
# The service returns at least this many blocks of usual size with one read: 4 MiB.
BLOCKS_PER_READ = 20
MAX_WATCHED = 64
# Characters of an unknown id that a message repeats.
_MAX_ID_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class States:
    """The states of a rollout's devices at one revision."""

    rollout: Rollout
    blocks: Sequence[BlockStates]  # in start order; empty until all devices are written


@dataclass(slots=True)
class _Watch:
    """What this process has read of one rollout."""

    lock: Lock = field(default_factory=Lock)
    snapshot: Snapshot | None = None  # None: not read yet, or it does not exist
    next_read: datetime | None = None  # None: read at once
    last_read: datetime | None = None
    blocks: dict[int, BlockStates] = field(default_factory=dict)  # by number


class RolloutWatch:
    """What this process has read of the rollouts that are watched. Threads may share it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._watches: OrderedDict[str, _Watch] = OrderedDict()
        self._ticked_at: datetime | None = None
        self._tick_read_at: datetime | None = None

    def read_snapshot(self, stores: Stores, rollout_id: str, now: datetime) -> Snapshot:
        """Return a rollout as it was a moment ago. Raises UnknownError."""
        watch = self._find(rollout_id)
        with watch.lock:
            return _refresh(watch, stores, rollout_id, now)

    def read_states(self, stores: Stores, rollout_id: str, now: datetime) -> States:
        """Return the states of a rollout's devices as they were a moment ago.

        Raises UnknownError.
        """
        watch = self._find(rollout_id)
        with watch.lock:
            snapshot = _refresh(watch, stores, rollout_id, now)
            _read_changed_blocks(watch, stores, snapshot)
            rollout = snapshot.rollout
            numbers = range(len(rollout.block_summaries))
            blocks = [watch.blocks[n] for n in numbers if n in watch.blocks]
            return States(rollout, blocks)

    def read_ticked_at(
        self, stores: Stores, now: datetime, interval: timedelta | None
    ) -> datetime | None:
        """Return when the last tick began that had a rollout to advance; None: never.

        Nothing is read until the next tick is due, `interval` after the last one; None: unknown.
        """
        with self._lock:
            is_early = interval is not None and _is_within(
                self._ticked_at, now, interval + TICK_STORE_TIME
            )
            if not is_early and not _is_within(self._tick_read_at, now, TICK_READ_INTERVAL):
                stored = stores.budget.get()
                self._ticked_at = stored.record.at if stored else None
                self._tick_read_at = now
            return self._ticked_at

    def _find(self, rollout_id: str) -> _Watch:
        with self._lock:
            watch = self._watches.setdefault(rollout_id, _Watch())
            self._watches.move_to_end(rollout_id)
            if len(self._watches) > MAX_WATCHED:
                self._watches.popitem(last=False)
            return watch


def _is_within(read_at: datetime | None, now: datetime, length: timedelta) -> bool:
    """Return whether a read is younger than `length`; the clock may have been set back."""
    return read_at is not None and timedelta() <= now - read_at < length


def _refresh(watch: _Watch, stores: Stores, rollout_id: str, now: datetime) -> Snapshot:
    """Read the rollout's record unless it was read a moment ago."""
    is_early = watch.last_read is not None and watch.last_read <= now
    if watch.snapshot is None or watch.next_read is None or not is_early or now >= watch.next_read:
        watch.snapshot = stores.rollouts.get(rollout_id)
        watch.last_read, watch.next_read = now, now + MIN_READ_INTERVAL
    if watch.snapshot is None:
        raise UnknownError(f"Rollout {rollout_id[:_MAX_ID_CHARACTERS]!r} does not exist.")
    return watch.snapshot


def _read_changed_blocks(watch: _Watch, stores: Stores, snapshot: Snapshot) -> None:
    """Read the blocks that were written since they were read. Forget the rows themselves."""
    revisions = [summary.revision for summary in snapshot.rollout.block_summaries]
    changed = [
        number
        for number, revision in enumerate(revisions)
        if number not in watch.blocks or watch.blocks[number].revision != revision
    ]
    read = stores.rollouts.get_blocks(snapshot, changed).blocks if changed else {}
    for number in changed:
        if number in read:
            watch.blocks[number] = states_of(read[number], revisions[number])
    reads = -(-len(set(changed).difference(snapshot.blocks)) // BLOCKS_PER_READ)
    if reads and watch.next_read is not None:
        watch.next_read += reads * MIN_READ_INTERVAL
