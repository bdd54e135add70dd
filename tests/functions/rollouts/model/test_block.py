"""Device updates are stored in blocks of neighbours in the start order."""

import pytest

from functions.rollouts.model.block import (
    Block,
    assign_waves,
    blocks_for,
    devices_between,
    untouched_summaries,
)
from functions.rollouts.model.device_update import DeviceUpdate
from tests.functions.builders import make_update, make_wave, make_waves

BLOCK = Block(1, tuple(make_update(f"d{number}", wave=9) for number in range(100, 104)))


def count_attempt(update: DeviceUpdate) -> DeviceUpdate:
    return update._replace(attempt=update.attempt + 1)


@pytest.mark.parametrize(
    ("devices", "blocks"), [(0, 0), (1, 1), (99, 1), (100, 1), (101, 2), (200, 2), (201, 3)]
)
def test_a_block_has_up_to_a_hundred_devices(devices: int, blocks: int) -> None:
    assert blocks_for(devices) == blocks
    summaries = untouched_summaries(blocks)
    assert [(item.due_at, item.revision) for item in summaries] == [(None, 0)] * blocks


def test_a_change_applies_to_all_updates_or_to_those_at_some_indexes() -> None:
    assert [item.attempt for item in BLOCK.apply(count_attempt).updates] == [2, 2, 2, 2]
    changed = BLOCK.apply(count_attempt, [0, 2])
    assert [item.attempt for item in changed.updates] == [2, 1, 2, 1]
    assert changed.number == 1


def test_a_block_without_a_change_is_the_same_record() -> None:
    assert BLOCK.apply(lambda update: update) is BLOCK
    assert BLOCK.apply(count_attempt, []) is BLOCK


def test_a_device_is_found_by_its_id() -> None:
    assert BLOCK.find("d102") is BLOCK.updates[2]
    assert BLOCK.find("d1") is None


@pytest.mark.parametrize(
    ("sizes", "waves"),
    [
        ([104], [0, 0, 0, 0]),
        ([100, 4], [1, 1, 1, 1]),
        ([101, 3], [0, 1, 1, 1]),
        ([50, 51, 2, 1], [1, 2, 2, 3]),
        ([102, 1], [0, 0, 1, 9]),
        ([100], [9, 9, 9, 9]),
    ],
)
def test_devices_have_the_waves_of_their_positions(sizes: list[int], waves: list[int]) -> None:
    assigned = assign_waves(BLOCK, make_waves(*map(make_wave, sizes)))
    assert (assigned.number, [item.wave for item in assigned.updates]) == (1, waves)
    assert assign_waves(assigned, make_waves(*map(make_wave, sizes))) is assigned


@pytest.mark.parametrize(
    ("first", "end", "indexes"),
    [
        (0, 100, []),
        (0, 101, [0]),
        (100, 103, [0, 1, 2]),
        (198, 300, [98, 99]),
        (199, 200, [99]),
        (200, 300, []),
    ],
)
def test_the_devices_of_a_block_between_two_positions(
    first: int, end: int, indexes: list[int]
) -> None:
    assert list(devices_between(1, first, end)) == indexes
