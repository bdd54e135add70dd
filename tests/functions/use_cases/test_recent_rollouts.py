"""Test when the twins of a new rollout's devices are read singly, because queries may be behind."""

import pytest

from functions.rollouts.model.target import TargetDevice
from functions.use_cases.create import create
from functions.use_cases.recent_rollouts import MAX_QUERY_LAG, needs_fresh_twins
from functions.use_cases.target_devices import FoundDevices
from tests.functions.use_cases.world import World, devices

MISSING = "0"  # sorts before all ids: read first


def create_for(world: World, *ids: str) -> str:
    world.pass_time(seconds=1)
    return create(world.services, world.request(*ids), None).rollout.id


def is_needed(world: World, own: str, *ids: str, complete: bool = True) -> bool:
    open_ids = [own, MISSING, *world.stores.rollouts.list_open_ids()]
    found = FoundDevices(devices=[TargetDevice(name) for name in ids], complete=complete)
    return needs_fresh_twins(world.services, open_ids, own, found)


def test_one_of_several_rollouts_that_had_a_device_lately_suffices() -> None:
    world = World(devices(6))
    create_for(world, "d-000", "d-001")
    create_for(world, "d-002", "d-003")
    own = create_for(world, "d-004", "d-001")
    assert is_needed(world, own, "d-004", "d-001")
    assert not is_needed(world, own, "d-004", "d-005")


def test_a_rollout_whose_devices_are_not_all_known_may_share_some_with_any_other() -> None:
    world = World(devices(6))
    own = create_for(world, "d-004")
    assert not is_needed(world, own, "d-004", complete=False)
    create_for(world, "d-000")
    assert is_needed(world, own, "d-004", complete=False)


@pytest.mark.parametrize(("seconds", "needed"), [(-60, True), (60, False)])
def test_a_rollout_that_ended_is_lately_for_as_long_as_queries_may_be_behind(
    seconds: int, needed: bool
) -> None:
    world = World(devices(6))
    ended = create_for(world, "d-000")
    world.until_over(ended)
    world.pass_time(seconds=MAX_QUERY_LAG.total_seconds() + seconds)
    own = create_for(world, "d-005")
    assert is_needed(world, own, "d-000") is needed
