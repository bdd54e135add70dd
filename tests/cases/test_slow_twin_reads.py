"""Check that a batch whose twins take longer to read than its lease lasts (60 s) starts devices.

Today the lease expires meanwhile, and the batch is read again and again without a start.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.strategy import Strategy
from functions.use_cases.advance import advance
from functions.use_cases.create import create
from tests.cases.steps import require
from tests.functions.use_cases.world import World, devices


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="D4: the lease is extended")
def test_a_slow_hub_makes_a_rollout_slow_not_stuck() -> None:
    world = World(devices(100, tutorial_only=True))
    create(world.services, world.request(strategy=Strategy()), None)
    hub: Any = world.hub
    read_twins = hub.read_twins
    reads: list[int] = []

    def slow(ids: Sequence[str]) -> Mapping[str, DeviceTwin | None]:
        """Read 100 twins, eight at a time, in five seconds each; the timer runs meanwhile."""
        found: Mapping[str, DeviceTwin | None] = read_twins(ids)
        hub.read_twins = read_twins
        reads.append(len(ids))
        for _ in range(7):
            world.pass_time(seconds=10)
            advance(world.services)
        hub.read_twins = slow
        return found

    hub.read_twins = slow
    for _ in range(20):
        world.tick()
    require(bool(reads), "twins were read")
    assert world.hub.started > 0, f"{len(reads)} batches read {sum(reads)} twins, none was started"
