"""Test that the version before an update is fresh, also where the hub's queries are behind."""

from datetime import timedelta

from functions.rollouts.model.firmware import Firmware
from functions.use_cases import commands
from functions.use_cases.create import create
from functions.use_cases.recent_rollouts import MAX_QUERY_LAG
from functions.use_cases.rollback import roll_back
from tests.cases.steps import ADA, FACTORY, require
from tests.functions.use_cases.world import World, devices

SECOND = Firmware(version="2.0.0", package_uri="https://packages.example/2.0.0.bin")
THIRD = Firmware(version="3.0.0", package_uri="https://packages.example/3.0.0.bin")
FIVE = tuple(f"d-{number:03}" for number in range(5))


def lagging_world(count: int = 50) -> World:
    """Make a world whose queries are two minutes behind."""
    world = World(devices(count))
    world.stores.catalogue.save(FACTORY)
    world.hub.query_lag = timedelta(minutes=2)
    return world


def roll_out(world: World, firmware: Firmware, *ids: str) -> str:
    rollout_id = create(world.services, world.request(*ids, firmware=firmware), None).rollout.id
    require(world.until_over(rollout_id).is_over, f"the rollout of {firmware.version} is over")
    return rollout_id


def previous(world: World, rollout_id: str, *ids: str) -> set[str | None]:
    return {world.update(rollout_id, name).previous_version for name in ids}


def running(world: World, *ids: str) -> set[str]:
    now = world.now.timestamp()
    runs = [world.hub.devices[name].latest for name in ids]
    return {run.version_at(now) for run in runs if run}


def test_a_rollback_goes_one_version_back_right_after_another_rollout() -> None:
    world = lagging_world()
    roll_out(world, SECOND, *FIVE)
    second = roll_out(world, THIRD)
    assert previous(world, second, *FIVE) == {"2.0.0"}
    assert previous(world, second, "d-005", "d-049") == {"1.0.0"}
    world.until_over(roll_back(world.services, second, ADA).rollout.id)
    assert running(world, *FIVE) == {"2.0.0"}


def test_the_version_is_fresh_while_the_earlier_rollout_is_still_open() -> None:
    world = lagging_world()
    world.hub.disconnect("d-004")
    first = create(world.services, world.request(*FIVE, firmware=SECOND), None).rollout.id
    world.ticks(8)
    require(not world.rollout(first).is_over, "one device of the first rollout is offline")
    second = create(world.services, world.request(firmware=THIRD), None).rollout.id
    world.ticks(20)
    assert previous(world, second, *FIVE[:4]) == {"2.0.0"}


def test_a_rollback_right_after_its_rollout_skips_no_device_as_running_the_version_already() -> (
    None
):
    world = lagging_world()
    undone = roll_out(world, SECOND)
    back = roll_back(world.services, undone, ADA).rollout.id
    assert world.until_over(back).counts.completed == 50
    assert running(world, *world.hub.devices) == {"1.0.0"}


def test_the_version_is_fresh_in_a_retry_long_after() -> None:
    world = lagging_world()
    roll_out(world, SECOND, *FIVE)
    world.hub.disconnect("d-002")
    second = create(world.services, world.request(firmware=THIRD), None).rollout.id
    world.ticks(20)
    commands.cancel(world.services, second, ADA)
    world.until_over(second)
    world.hub.reconnect("d-002")
    assert world.rollout(second).needs_fresh_twins


def test_a_rollout_to_more_devices_than_a_request_finds_reads_twins_singly_too() -> None:
    world = lagging_world(1_050)
    roll_out(world, SECOND, *FIVE)
    second = roll_out(world, THIRD)
    assert previous(world, second, *FIVE) == {"2.0.0"}


def test_twins_are_queried_where_no_other_rollout_had_the_devices_lately() -> None:
    world = lagging_world()
    roll_out(world, SECOND, *FIVE)
    apart = create(world.services, world.request(*tuple(world.hub.devices)[5:]), None).rollout
    assert not apart.needs_fresh_twins
    world.until_over(apart.id)
    world.pass_time(seconds=MAX_QUERY_LAG.total_seconds() + 1)
    late = create(world.services, world.request(firmware=THIRD), None).rollout
    assert not late.needs_fresh_twins
    before = world.hub.operations.twin_reads
    world.tick()
    assert world.hub.operations.twin_reads == before
