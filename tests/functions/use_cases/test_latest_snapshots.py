"""Test which rollouts and blocks a process keeps, and when it reads them again."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.model.block import Block
from functions.use_cases import latest_snapshots
from functions.use_cases.latest_snapshots import LatestSnapshots, keep_blocks, latest
from tests.functions.builders import make_rollout, make_update, make_wave

ROLLOUT = make_rollout(make_wave(300))


def snapshot(
    revision: int = 1, blocks: Iterable[int] = (), rollout_id: str = "r", **revisions: int
) -> Snapshot:
    """Make a snapshot of three blocks; `b1=5` is the revision of block 1."""
    summaries = tuple(
        replace(summary, revision=revisions.get(f"b{number}", 0))
        for number, summary in enumerate(ROLLOUT.block_summaries)
    )
    rollout = replace(ROLLOUT, id=rollout_id, revision=revision, block_summaries=summaries)
    made = {number: Block(number, (make_update(f"d-{revision}"),)) for number in blocks}
    return Snapshot(rollout, str(revision), made)


class Store:
    """Return the missing blocks of a snapshot, and keep which were read."""

    def __init__(self) -> None:
        self.read: list[list[int]] = []

    def get_blocks(self, found: Snapshot, numbers: Any) -> Snapshot:
        self.read.append(list(numbers))
        made = {number: Block(number, (make_update("stored"),)) for number in numbers}
        return replace(found, blocks={**found.blocks, **made})


def test_the_later_snapshot_is_kept_whatever_the_order() -> None:
    kept = LatestSnapshots()
    for revision, expected in ((2, 2), (1, 2), (3, 3)):
        kept.remember(snapshot(revision))
        assert kept.latest(snapshot(0)).rollout.revision == expected
    assert kept.latest(snapshot(4)).rollout.revision == 4
    other = snapshot(1, rollout_id="other")
    assert kept.latest(other) is other


def test_of_two_snapshots_with_the_same_revision_the_first_is_returned() -> None:
    one, other = snapshot(2, [0]), snapshot(2, [1])
    assert latest(one, other).blocks == {**one.blocks, **other.blocks}
    assert latest(one, snapshot(2)) is one


def test_blocks_that_have_not_changed_since_are_kept() -> None:
    old = snapshot(1, [0, 1, 2], b0=1, b1=1, b2=1)
    new = snapshot(2, [2], b0=1, b1=2, b2=1)
    kept = keep_blocks(new, old)
    assert kept.rollout is new.rollout
    assert kept.blocks == {0: old.blocks[0], 2: new.blocks[2]}
    assert keep_blocks(kept, new) is kept


def test_blocks_of_other_waves_are_not_kept() -> None:
    old = snapshot(1, [0])
    rollout = replace(old.rollout, waves=make_rollout(make_wave(1), make_wave(299)).waves)
    new = Snapshot(rollout, "2")
    assert keep_blocks(new, old) is new


def test_only_blocks_that_are_not_kept_are_read() -> None:
    kept, store = LatestSnapshots(), Store()
    port: Any = store
    bare = snapshot(1)
    first = kept.with_blocks(port, bare, [0, 1])
    assert first.blocks.keys() == {0, 1}
    again = kept.with_blocks(port, bare, [1, 2])
    assert again.blocks.keys() == {1, 2}
    assert kept.with_blocks(port, first, [0]) is first
    assert kept.with_blocks(port, bare, []) is bare
    assert store.read == [[0, 1], [2]]
    changed = snapshot(2, b1=2)
    assert kept.with_blocks(port, changed, [0, 1, 2]).blocks.keys() == {0, 1, 2}
    assert store.read[2:] == [[1]]


def test_the_rollouts_used_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latest_snapshots, "MAX_KEPT_ROLLOUTS", 2)
    kept = LatestSnapshots()
    for rollout_id in ("a", "b", "a", "c"):
        kept.remember(snapshot(9, rollout_id=rollout_id))
    found = {item: kept.latest(snapshot(0, rollout_id=item)).rollout.revision for item in "abc"}
    assert found == {"a": 9, "b": 0, "c": 9}


def test_the_latest_blocks_of_the_rollouts_used_last_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(latest_snapshots, "MAX_KEPT_BLOCKS", 4)
    kept = LatestSnapshots()
    kept.remember(snapshot(9, [0, 1, 2], rollout_id="a"))
    kept.remember(snapshot(9, [0, 1], rollout_id="b"))
    found = {item: set(kept.latest(snapshot(0, rollout_id=item)).blocks) for item in "ab"}
    assert found == {"a": {1, 2}, "b": {0, 1}}
    kept.remember(snapshot(9, [0, 1, 2], rollout_id="c"))
    found = {item: set(kept.latest(snapshot(0, rollout_id=item)).blocks) for item in "abc"}
    assert found == {"a": set(), "b": {1}, "c": {0, 1, 2}}
