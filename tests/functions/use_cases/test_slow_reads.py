"""Test that twins that take long to read make a rollout slow, and not stuck."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.rollout import operator_commands
from functions.use_cases import commands
from functions.use_cases.advance import advance
from functions.use_cases.create import create
from tests.cases.steps import ADA, require
from tests.functions.use_cases.test_commands_races import check_counters
from tests.functions.use_cases.world import World, devices


def slow_down(world: World, what: str, seconds: int = 70) -> list[int]:
    """Let each read of the hub take `seconds`, while the timer runs. Return the numbers read."""
    hub: Any = world.hub
    read = getattr(hub, what)
    reads: list[int] = []

    def slow(ids: Sequence[str]) -> Mapping[str, DeviceTwin | None]:
        found: Mapping[str, DeviceTwin | None] = read(ids)
        setattr(hub, what, read)
        reads.append(len(ids))
        for _ in range(seconds // 10):
            world.pass_time(seconds=10)
            advance(world.services)
        setattr(hub, what, slow)
        return found

    setattr(hub, what, slow)
    return reads


def test_a_slow_hub_makes_a_rollout_slow_not_stuck() -> None:
    world = World(devices(100, tutorial_only=True))
    create(world.services, world.request(strategy=Strategy()), None)
    reads = slow_down(world, "read_twins")
    for _ in range(20):
        world.tick()
    require(bool(reads), "twins were read")
    assert world.hub.started > 0, f"{len(reads)} batches read {sum(reads)} twins, none was started"
    assert reads[0] == world.hub.started == 100


@pytest.mark.parametrize(
    ("number", "what", "tutorial_only"),
    [(100, "query_twins", False), (15, "read_twins", True), (9, "read_twins", True)],
)
def test_a_batch_whose_lease_expires_during_its_reads_starts_its_devices_once(
    number: int, what: str, tutorial_only: bool
) -> None:
    world = World(devices(number, tutorial_only=tutorial_only, online=number > 10))
    rollout_id = create(world.services, world.request(strategy=Strategy()), None).rollout.id
    for name in world.hub.devices:
        if number <= 10:
            world.hub.reconnect(name)
    slow_down(world, what)
    for _ in range(6):
        world.tick()
    check_counters(world, rollout_id)
    assert world.hub.started == number


def test_a_stop_during_slow_reads_holds() -> None:
    world = World(devices(50))
    rollout_id = create(world.services, world.request(strategy=Strategy()), None).rollout.id
    batches = world.advance()
    slow_down(world, "query_twins")
    hub: Any = world.hub
    query = hub.query_twins

    def paused(ids: Sequence[str]) -> Any:
        found = query(ids)
        commands.run_command(world.services, rollout_id, operator_commands.pause, ADA)
        return found

    hub.query_twins = paused
    world.dispatch(*batches)
    assert (world.hub.started, world.rollout(rollout_id).status) == (0, RolloutStatus.PAUSED)
    check_counters(world, rollout_id)
    commands.run_command(world.services, rollout_id, operator_commands.resume, ADA)
    hub.query_twins = type(hub).query_twins.__get__(hub)
    assert world.until_over(rollout_id).counts.completed == 50


def test_a_batch_that_comes_again_after_its_claim_starts_nothing() -> None:
    world = World(devices(50))
    rollout_id = create(world.services, world.request(strategy=Strategy()), None).rollout.id
    batches = world.advance()
    world.dispatch(*batches, *batches)
    assert world.hub.started == 50
    check_counters(world, rollout_id)


@pytest.mark.parametrize(("number", "lease_seconds"), [(100, 600), (80, 60)])
def test_a_batch_that_reads_many_twins_one_by_one_keeps_its_lease_for_longer(
    number: int, lease_seconds: int
) -> None:
    world = World(devices(number, tutorial_only=True))
    rollout_id = create(world.services, world.request(strategy=Strategy()), None).rollout.id
    batches = world.advance()
    hub: Any = world.hub
    read, left = hub.read_twins, list[float]()

    def record(ids: Sequence[str]) -> Any:
        (lease,) = world.rollout(rollout_id).dispatch.leases
        left.append((lease.until - world.now).total_seconds())
        return read(ids)

    hub.read_twins = record
    world.dispatch(*batches)
    assert left == [pytest.approx(lease_seconds, abs=1)]
