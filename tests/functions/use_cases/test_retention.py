"""Test the removal of ended rollouts: what goes, what stays, and how little a tick does for it."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.errors import UnknownError
from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.rollback import RolledBack
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.rollout.operator_commands import Caller, pause
from functions.use_cases import advance, commands, read, retention, rollback
from functions.use_cases.commit import Change, commit
from functions.use_cases.create import create
from simulator.simulated_fleet.shares import Fault
from tests.functions.builders import make_rollout
from tests.functions.fragile import CrashError, Fragile
from tests.functions.use_cases.world import FIRMWARE, World, device, devices

ADA = Caller("ada", None)
YEAR = timedelta(days=400)


def keep(world: World, length: timedelta | None = YEAR) -> World:
    world.services = replace(world.services, retention=length)
    return world


def run(world: World, *device_ids: str, key: str | None = None, **more: Any) -> str:
    rollout_id = create(world.services, world.request(*device_ids, **more), key).rollout.id
    world.until_over(rollout_id)
    return rollout_id


def exists(world: World, rollout_id: str) -> bool:
    return world.stores.rollouts.get(rollout_id) is not None


def test_an_ended_rollout_goes_after_its_time_with_its_history_and_its_key() -> None:
    world = keep(World(devices(3)))
    rollout_id = run(world, key="k")
    world.pass_time(days=399)
    world.ticks(3)
    assert exists(world, rollout_id)
    world.pass_time(days=2)
    world.ticks(3)
    assert not exists(world, rollout_id)
    with pytest.raises(UnknownError):
        read.get_overview(world.stores.rollouts, rollout_id)
    targets = world.stores.targets
    assert read.list_device_history(targets, "d-000", 10, None, world.now).items == []
    assert world.stores.rollouts.list_rollouts(None, 10, None).items == []
    assert targets.get_block_numbers(rollout_id) == {}
    assert world.stores.keys.get("k") is None
    assert create(world.services, world.request(), "k").is_new


def test_without_a_retention_time_nothing_goes() -> None:
    world = keep(World(devices(2)), None)
    rollout_id = run(world)
    world.pass_time(days=36_500)
    world.ticks(3)
    assert exists(world, rollout_id)


def test_a_rollout_that_is_paused_for_years_stays_and_so_do_the_later_ones() -> None:
    """Check the later one too: the paused rollout must still find that it took the device."""
    world = keep(World(devices(30)))
    older = create(world.services, world.request(strategy=Strategy(max_in_flight=1)), None)
    commands.run_command(world.services, older.rollout.id, pause, ADA)
    world.pass_time(seconds=1)
    other = Firmware(version="3.0.0", package_uri="https://packages.example/fw-3.bin")
    later = run(world, "d-000", "d-001", firmware=other)
    world.pass_time(days=900)
    world.ticks(3)
    assert exists(world, later)
    commands.cancel(world.services, older.rollout.id, ADA)
    world.until_over(older.rollout.id)
    world.pass_time(days=402)
    world.ticks(5)
    assert not exists(world, older.rollout.id)
    assert not exists(world, later)


def test_a_rollout_stays_while_its_rollback_is_open() -> None:
    world = keep(World(devices(2)))
    rollout_id = run(world)
    undone = world.stores.rollouts.get(rollout_id)
    assert undone is not None
    later = create(
        world.services, replace(world.request(), start_at=world.now + timedelta(days=900)), None
    )
    commit(
        world.services,
        undone,
        lambda _, stored: Change(replace(stored.rollout, rollback=RolledBack(later.rollout.id))),
    )
    world.pass_time(days=500)
    world.ticks(3)
    assert exists(world, rollout_id)


def test_a_reopened_rollout_stays_and_counts_from_its_new_end() -> None:
    world = keep(World([device("a", fault=Fault.FAILING)]))
    rollout_id = run(world)
    world.ticks(20)
    world.pass_time(days=399)
    world.hub.devices["a"].fault = Fault.NONE
    commands.retry(world.services, rollout_id, ADA)
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED
    world.pass_time(days=2)
    world.ticks(3)
    assert exists(world, rollout_id)
    world.pass_time(days=400)
    world.ticks(3)
    assert not exists(world, rollout_id)


def test_a_later_rollback_still_finds_the_package_by_its_version_and_other_names() -> None:
    world = keep(World(devices(2)))
    old = replace(FIRMWARE, version="1.0.0", reported_as=("1.0",))
    first = run(world, firmware=old)
    world.pass_time(days=401)
    world.ticks(3)
    assert not exists(world, first)
    for name in ("1.0.0", "1.0"):
        assert world.stores.catalogue.get(name) == old
    second = run(world)
    undoing = rollback.roll_back(world.services, second, ADA)
    assert undoing.rollout.firmware == old


def test_the_packages_of_a_rollback_are_in_the_catalogue_before_its_removal() -> None:
    """So that a removal does not read each name of the many packages that a rollback may have."""
    world = keep(World(devices(2)))
    old = replace(FIRMWARE, version="1.0.0", reported_as=("1.0",))
    run(world, firmware=old)
    back = rollback.roll_back(world.services, run(world), ADA).rollout
    world.until_over(back.id)
    world.pass_time(days=401)
    catalogue: Any = world.stores.catalogue
    get, names = catalogue.get, list[str]()

    def record(name: str) -> Any:
        names.append(name)
        return get(name)

    catalogue.get = record
    world.ticks(10)
    assert not exists(world, back.id)
    assert names == ["1.0"]  # of the rollout that brought it
    assert get("1.0.0") == get("1.0") == old


def test_a_version_that_was_another_ones_name_gets_its_own_package() -> None:
    world = keep(World(devices(2)))
    run(world, firmware=replace(FIRMWARE, version="1.0.0", reported_as=("1.0",), sha256="a" * 64))
    world.pass_time(days=401)
    world.ticks(3)
    named = Firmware(version="1.0", package_uri="https://packages.example/1.bin", sha256="b" * 64)
    run(world, firmware=named)
    assert world.stores.catalogue.get("1.0") == named


def test_a_creation_that_crashed_is_removed_after_its_time() -> None:
    world = keep(World(devices(2)))
    stores, rollout_id = world.stores, world.services.new_id(world.now)
    announced = make_rollout(rollout_id=rollout_id)
    definition = replace(announced.definition, created_at=world.now)
    stores.rollouts.announce(replace(announced, definition=definition))
    stores.targets.save_history(rollout_id, {"d-000": 0})
    world.pass_time(days=399)
    world.ticks(3)
    assert stores.rollouts.list_open_ids() == [rollout_id]
    world.pass_time(days=2)
    world.ticks(4)
    assert stores.rollouts.list_open_ids() == []
    assert stores.targets.get_block_numbers(rollout_id) == {}


class Counting:
    """Count the calls to the ports of a store."""

    def __init__(self, stores: Any, calls: Counter[str], name: str = "") -> None:
        self._stores, self._calls, self._name = stores, calls, name

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._stores, name)
        if not callable(value):
            return Counting(value, self._calls, name)

        def call(*arguments: Any, **more: Any) -> Any:
            self._calls[f"{self._name}.{name}"] += 1
            return value(*arguments, **more)

        return call


def fill(world: World, count: int) -> None:
    """Store ended rollouts of the device d-000, one a minute."""
    first = make_rollout(status=RolloutStatus.COMPLETED)
    for number in range(count):
        now = world.now - timedelta(minutes=count - number)
        rollout_id = world.services.new_id(now)
        world.stores.rollouts.add(replace(first, id=rollout_id, ended_at=now))


def counted(world: World) -> Counter[str]:
    calls: Counter[str] = Counter()
    services = replace(world.services, stores=Counting(world.stores, calls))
    advance.advance(services)
    return calls


def test_a_tick_costs_the_same_with_ten_and_with_100_000_ended_rollouts() -> None:
    costs = []
    for ended in (10, 100_000):
        world = keep(World(devices(30)))
        fill(world, ended)
        idle = counted(world)
        assert idle == {"retention.list_work": 1}
        world.create(Strategy(max_in_flight=1))
        world.ticks(1)
        costs.append(counted(world))
    assert costs[0] == costs[1]


@pytest.fixture
def full() -> World:
    world = keep(World(devices(1)))
    fill(world, 200)
    return world


def test_removals_take_at_most_a_tenth_of_the_time_between_two_ticks(full: World) -> None:
    full.pass_time(days=500)
    removed = []
    for interval in (10.0, 10.0, 1.0):
        before, begun = len(ids(full)), full.now
        advance.advance(full.services)
        took = full.now - begun
        removed.append(before - len(ids(full)))
        assert took <= timedelta(seconds=1.01)
        full.pass_time(seconds=interval)
    assert removed[0] == 0  # the first tick of a process does not know the time between two
    assert removed[1] > 5


def ids(world: World) -> list[str]:
    return [item.id for item in world.stores.rollouts.list_rollouts(None, 1_000, None).items]


def test_a_short_interval_leaves_less_time(full: World) -> None:
    full.pass_time(days=500)
    advance.advance(full.services)
    full.clock.now += timedelta(seconds=0.05)
    before = len(ids(full))
    advance.advance(full.services)
    assert before - len(ids(full)) <= 2


@pytest.mark.parametrize("at", range(1, 9))
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_between_two_removals_leaves_a_whole_rollout_or_none(at: int, after: bool) -> None:
    world = keep(World(devices(2)))
    rollout_id = run(world, key="k")
    world.pass_time(days=401)
    retention.remove_expired(world.services, retention.list_work(world.services))
    world.pass_time(seconds=10)
    services = replace(world.services, stores=Fragile(world.stores, at, after=after))
    try:
        advance.advance(services)
    except CrashError:
        found = world.stores.rollouts.get(rollout_id)
        assert found is None or len(world.updates(rollout_id)) == 2
    world.ticks(3)
    assert not exists(world, rollout_id)
    assert world.stores.targets.get_block_numbers(rollout_id) == {}
    assert world.stores.keys.get("k") is None
    assert not retention.list_work(world.services).expired
