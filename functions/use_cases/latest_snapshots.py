"""Remember the rollouts as this process stored or read them last, with their blocks.

A block is known by the revision that its rollout's record names for it, so a remembered block saves
a read, never hides a change. A remembered snapshot that another process has outdated loses the race
when it is written, and is read again.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from functions.rollout_store.ports.rollouts import RolloutStore, Snapshot

# Blocks kept in memory, about 200 KB each, and rollouts kept.
MAX_KEPT_BLOCKS = 100
MAX_KEPT_ROLLOUTS = 100


class LatestSnapshots:
    """The latest snapshots of this process, by rollout. Threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Snapshot] = OrderedDict()

    def remember(self, snapshot: Snapshot) -> None:
        """Keep a snapshot that was stored or read, unless a later one is known."""
        with self._lock:
            known = self._kept.get(snapshot.rollout.id)
            newest = snapshot if known is None else latest(snapshot, known)
            self._kept[snapshot.rollout.id] = newest
            self._kept.move_to_end(snapshot.rollout.id)
            self._forget_oldest()

    def latest(self, snapshot: Snapshot) -> Snapshot:
        """Return the later one of `snapshot` and the remembered one, with the blocks of both."""
        with self._lock:
            known = self._kept.get(snapshot.rollout.id)
        return snapshot if known is None else latest(snapshot, known)

    def with_blocks(
        self, store: RolloutStore, snapshot: Snapshot, numbers: Sequence[int]
    ) -> Snapshot:
        """Add blocks to a snapshot, from memory or the store. Raises StorageUnavailableError."""
        if all(number in snapshot.blocks for number in numbers):
            return snapshot
        with self._lock:
            known = self._kept.get(snapshot.rollout.id)
        if known is not None:
            wanted = {n: known.blocks[n] for n in numbers if n in known.blocks}
            snapshot = keep_blocks(snapshot, replace(known, blocks=wanted))
        missing = [number for number in numbers if number not in snapshot.blocks]
        if missing:
            snapshot = store.get_blocks(snapshot, missing)
            self.remember(snapshot)
        return snapshot

    def _forget_oldest(self) -> None:
        while len(self._kept) > MAX_KEPT_ROLLOUTS:
            self._kept.popitem(last=False)
        room = MAX_KEPT_BLOCKS
        for rollout_id in reversed(self._kept):
            snapshot = self._kept[rollout_id]
            if len(snapshot.blocks) > room:  # the last blocks of the mapping are the latest
                kept = list(snapshot.blocks.items())[len(snapshot.blocks) - room :]
                self._kept[rollout_id] = replace(snapshot, blocks=dict(kept))
            room -= len(self._kept[rollout_id].blocks)


def latest(one: Snapshot, other: Snapshot) -> Snapshot:
    """Return the snapshot with the higher revision, `one` if they are equal, with all blocks."""
    if other.rollout.revision > one.rollout.revision:
        one, other = other, one
    return keep_blocks(one, other)


def keep_blocks(new: Snapshot, old: Snapshot) -> Snapshot:
    """Add the blocks of an older snapshot that were not changed since."""
    if new.rollout.wave_ends != old.rollout.wave_ends:
        return new
    unchanged = {
        number: block
        for number, block in old.blocks.items()
        if number not in new.blocks
        and new.rollout.block_summaries[number].revision
        == old.rollout.block_summaries[number].revision
    }
    return replace(new, blocks={**unchanged, **new.blocks}) if unchanged else new
