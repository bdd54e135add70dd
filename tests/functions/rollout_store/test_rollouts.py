"""Test what the rollout stores on Azurite and in memory have in common."""

from dataclasses import replace

import pytest

from functions.errors import LostRaceError
from functions.rollout_store.ports.rollout_ids import new_rollout_id
from functions.rollout_store.ports.stores import Stores
from functions.rollout_store.ports.update_filter import ALL_UPDATES
from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.block import BLOCK_SIZE, Block, untouched_summaries
from functions.rollouts.model.device_state import DeviceState
from tests.functions.builders import NOON, at, change, make_update
from tests.functions.rollout_store.records import (
    MANY,
    add_rollout,
    full_rollout,
    full_update,
    read,
    rollout_with,
    with_first_state,
)
from tests.functions.rollout_store.test_row_size import make_large


def test_a_rollout_and_a_device_update_with_all_fields_are_read_as_written(
    stores: Stores,
) -> None:
    rollout = full_rollout(new_rollout_id(NOON))
    blocks = [Block(0, (full_update()._replace(wave=0),)), Block(1, (full_update("b"),))]
    stores.rollouts.add(rollout, blocks)
    found = read(stores, rollout.id)
    assert found.rollout == rollout
    assert [found.blocks[0], found.blocks[1]] == blocks


def test_a_rollout_cannot_be_added_twice(stores: Stores) -> None:
    snapshot = add_rollout(stores, "a")
    with pytest.raises(LostRaceError):
        stores.rollouts.add(snapshot.rollout)


@pytest.mark.parametrize("device_ids", [("a", "b"), MANY])
def test_a_rollout_and_its_blocks_are_saved_together_or_not_at_all(
    stores: Stores, device_ids: tuple[str, ...]
) -> None:
    before = read(stores, add_rollout(stores, *device_ids).rollout.id)
    first = with_first_state(before, 0, DeviceState.ACCEPTED)
    saved = stores.rollouts.save(before, replace(before.rollout, revision=1), [first])
    with pytest.raises(LostRaceError):
        stores.rollouts.save(
            before,
            replace(before.rollout, revision=7),
            [with_first_state(before, 0, DeviceState.FAILED)],
        )
    found = read(stores, before.rollout.id)
    assert found.rollout.revision == 1
    assert found.blocks[0] == first
    again = with_first_state(saved, 0, DeviceState.COMPLETED)
    stores.rollouts.save(saved, replace(saved.rollout, revision=2), [again])
    assert read(stores, before.rollout.id).blocks[0] == again


def test_new_blocks_are_saved_with_a_rollout_without_blocks(stores: Stores) -> None:
    rollout, blocks = rollout_with(*MANY)
    bare = stores.rollouts.add(replace(rollout, block_summaries=()))
    stores.rollouts.save(bare, rollout, blocks)
    assert stores.rollouts.list_device_ids(read(stores, rollout.id)) == list(MANY)


@pytest.mark.parametrize("rollout_id", ["", "x", "a/b", "' or 1 eq 1", "#", "9" * 200, "\x00"])
def test_any_text_is_a_valid_argument_and_an_unknown_rollout(
    stores: Stores, rollout_id: str
) -> None:
    assert stores.rollouts.get(rollout_id) is None


@pytest.mark.parametrize("device_ids", [("a", "b"), MANY])
def test_a_lost_race_writes_neither_blocks_nor_events(
    stores: Stores, device_ids: tuple[str, ...]
) -> None:
    before = read(stores, add_rollout(stores, *device_ids).rollout.id)
    stores.rollouts.save(before, replace(before.rollout, revision=1))
    late = [with_first_state(before, number, DeviceState.FAILED) for number in before.blocks]
    spilled = [Event(at=at(1), action="paused", by="ada", message="too late")]
    with pytest.raises(LostRaceError):
        stores.rollouts.save(before, change(before.rollout, event_count=1), late, spilled)
    found = read(stores, before.rollout.id)
    assert found.blocks == before.blocks
    assert stores.rollouts.list_events(found, 10, None).items == []
    assert stores.rollouts.list_blocks_with(before.rollout.id, [DeviceState.FAILED]) == []


@pytest.mark.parametrize("device_ids", [("a", "b"), MANY])
def test_saving_a_rollout_without_its_blocks_keeps_them(
    stores: Stores, device_ids: tuple[str, ...]
) -> None:
    before = read(stores, add_rollout(stores, *device_ids).rollout.id)
    fresh = stores.rollouts.get(before.rollout.id)
    assert fresh is not None
    saved = stores.rollouts.save(fresh, replace(fresh.rollout, revision=1))
    stores.rollouts.save(saved, replace(fresh.rollout, revision=2))
    assert read(stores, before.rollout.id).blocks == before.blocks


def test_a_saved_snapshot_has_the_blocks_read_and_written(stores: Stores) -> None:
    before = read(stores, add_rollout(stores, *MANY).rollout.id)
    block = with_first_state(before, 1, DeviceState.ACCEPTED)
    saved = stores.rollouts.save(before, replace(before.rollout, revision=1), [block])
    assert saved.rollout.revision == 1
    assert saved.version != before.version
    assert saved.blocks == {**before.blocks, 1: block}


def test_a_rollout_that_was_not_added_cannot_be_saved(stores: Stores) -> None:
    snapshot = add_rollout(stores, "a")
    ghost = replace(snapshot.rollout, id=new_rollout_id(at(-9)))
    with pytest.raises(LostRaceError):
        stores.rollouts.save(replace(snapshot, rollout=ghost), ghost)
    assert stores.rollouts.get(ghost.id) is None


@pytest.mark.parametrize("count", [5, 250])
def test_the_blocks_of_devices_are_found_and_unknown_devices_are_missing(
    stores: Stores, count: int
) -> None:
    ids = [f"d-{number}" for number in range(count)]
    rollout, blocks = rollout_with(*ids)
    numbers = {update.device_id: block.number for block in blocks for update in block.updates}
    stores.targets.save_history(rollout.id, numbers)
    stores.rollouts.add(rollout, blocks)
    snapshot = read(stores, rollout.id)
    wanted = [*ids[::7], "ghost", "D-0"]
    assert stores.rollouts.find_blocks(snapshot, wanted) == {
        device_id: numbers[device_id] for device_id in ids[::7]
    }
    assert stores.rollouts.find_blocks(snapshot, []) == {}


def test_a_large_record_is_read_as_written_and_its_status_alone(stores: Stores) -> None:
    rollout = replace(make_large(200_000, 1.0), id=new_rollout_id(NOON))
    stores.rollouts.add(rollout)
    assert read(stores, rollout.id).rollout == rollout
    status = stores.rollouts.get_status(rollout.id)
    assert status == (rollout.status, rollout.later, frozenset(), rollout.freeze)
    assert stores.rollouts.get_status(new_rollout_id(at(5))) is None


def test_the_revision_is_read_alone_with_whether_the_rollout_is_over(stores: Stores) -> None:
    opened = stores.rollouts.add(replace(full_rollout(new_rollout_id(NOON)), ended_at=None))
    rollout = opened.rollout
    assert stores.rollouts.get_revision(rollout.id) == (rollout.revision, False)
    ended = replace(rollout, ended_at=at(9), revision=rollout.revision + 1)
    stores.rollouts.save(opened, ended)
    assert stores.rollouts.get_revision(rollout.id) == (rollout.revision + 1, True)
    for unknown in (new_rollout_id(at(5)), "no id", "it's", ""):
        assert stores.rollouts.get_revision(unknown) is None


def test_the_frozen_strata_are_read_with_the_status_alone(stores: Stores) -> None:
    rollout = replace(full_rollout(new_rollout_id(NOON)), block_summaries=())
    stores.rollouts.add(rollout)
    status = stores.rollouts.get_status(rollout.id)
    assert status == (rollout.status, rollout.later, frozenset({1}), rollout.freeze)


def test_devices_have_the_waves_of_the_rollout_that_is_read(stores: Stores) -> None:
    before = add_rollout(stores, *MANY)
    first, rest = replace(before.rollout.waves[0], size=120), before.rollout.waves[0]
    waves = (first, replace(rest, name="rest", first=120, size=130))
    saved = stores.rollouts.save(before, replace(before.rollout, waves=waves, revision=1))
    expected = [0] * 120 + [1] * 130
    for snapshot in (saved, read(stores, before.rollout.id)):
        found = stores.rollouts.get_blocks(snapshot, [0, 1, 2]).blocks
        assert [item.wave for number in range(3) for item in found[number].updates] == expected
    page = stores.rollouts.list_updates(saved, ALL_UPDATES, 1000, None)
    assert [item.wave for item in page.items] == expected
    one = stores.rollouts.get_update(saved, page.items[-1].device_id)
    assert one is not None
    assert one.wave == 1


def test_a_rollout_that_outgrows_its_first_block_keeps_its_devices(stores: Stores) -> None:
    """The first block is full, so joining devices do not change it; its row does move."""
    ids = [f"d-{number:03}" for number in range(BLOCK_SIZE)]
    snapshot = add_rollout(stores, *ids)
    stores.targets.add_history(snapshot.rollout.id, {"late": 1})
    (wave,) = snapshot.rollout.waves
    grown = replace(
        snapshot.rollout,
        waves=(replace(wave, size=BLOCK_SIZE + 1),),
        block_summaries=untouched_summaries(2),
    )
    stores.rollouts.save(snapshot, grown, [Block(1, (make_update("late"),))])
    after = read(stores, grown.id)
    assert stores.rollouts.list_device_ids(after) == [*ids, "late"]
    assert after.blocks[0] == snapshot.blocks[0]
    assert stores.rollouts.find_blocks(after, ["late", ids[0]]) == {"late": 1, ids[0]: 0}
    assert list(stores.rollouts.list_blocks_with(grown.id, [DeviceState.QUEUED])) == [0, 1]
    assert stores.rollouts.get_update(after, ids[-1]) == snapshot.blocks[0].updates[-1]
