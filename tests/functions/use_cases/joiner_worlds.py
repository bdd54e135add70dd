"""Make rollouts that take late joiners, and run them."""

from dataclasses import replace
from typing import Any

from functions.rollouts.model.strategy import (
    Strategy,
    WavePlan,
)
from functions.use_cases.create import create
from tests.functions.use_cases.world import World, devices

CANARY = Strategy(waves=(WavePlan(size=1, name="canary"),))

MINUTE = 6  # ticks


def make(world: World, strategy: Strategy = CANARY, **more: Any) -> str:
    """Create a rollout of all devices that meet the condition, with joiners. Return its id."""
    known: dict[str, Any] = {"device_ids": (), "condition": "tags.site = 'berlin'", "joiners": True}
    request = replace(world.request(), strategy=strategy, **(known | more))
    return create(world.services, request, None).rollout.id


def slow_fleet(count: int = 3) -> World:
    """Make devices that take ten minutes each."""
    return World(devices(count, stage=150))
