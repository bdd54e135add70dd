"""Test rollouts while the storage, or the queue of batches, is down for some time."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from functions.errors import StorageUnavailableError, UnavailableError
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Strategy
from simulator.rehearsal.meter import QUERY, TWIN_READ
from tests.functions.use_cases.world import World, devices

S1 = quotas(Tier.S1, 1, 0.8)


class Down:
    """Wrap a port, or several in one object, that is unavailable from a time until another."""

    def __init__(self, port: Any, world: World, begin: datetime, end: datetime) -> None:
        self._port, self._world, self._begin, self._end = port, world, begin, end

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._port, name)
        if not callable(value):
            return Down(value, self._world, self._begin, self._end)

        def call(*arguments: Any, **more: Any) -> Any:
            if self._begin <= self._world.now < self._end:
                raise StorageUnavailableError("The storage responds with 503.")
            return value(*arguments, **more)

        return call


@pytest.mark.parametrize("port", ["stores", "queue"])
@pytest.mark.parametrize(("begin", "lasts"), [(0.5, 60), (11, 3), (20.5, 400), (33, 400)])
def test_no_device_fails_or_is_updated_twice(port: str, begin: float, lasts: float) -> None:
    world = World(devices(150), S1)
    rollout_id = world.create(Strategy(timeout=timedelta(minutes=10))).rollout.id
    down_at = world.now + timedelta(seconds=begin)
    up_at = down_at + timedelta(seconds=lasts)
    down = Down(getattr(world.services, port), world, down_at, up_at)
    services: dict[str, Any] = {port: down}
    world.services = replace(world.services, **services)
    for _ in range(200):
        try:
            world.tick()
        except UnavailableError:
            world.pass_time(seconds=10)
        if world.now > up_at and world.rollout(rollout_id).is_over:
            break
    ended = world.rollout(rollout_id)
    assert (ended.status, ended.counts.completed) == (RolloutStatus.COMPLETED, 150)
    assert {len(item.started) for item in world.hub.devices.values()} == {1}
    assert not any(item.attempts_used for item in world.updates(rollout_id))


@pytest.mark.parametrize("call", [QUERY, TWIN_READ])
def test_a_hub_that_refuses_one_kind_of_read_for_an_hour_fails_no_device(call: str) -> None:
    world = World(devices(60), S1)
    rollout_id = world.create().rollout.id
    world.hub.meter.refused = frozenset({call})
    world.ticks(360)
    assert world.rollout(rollout_id).counts.failed == 0
    world.hub.meter.refused = frozenset()
    assert world.until_over(rollout_id).counts.completed == 60
    assert not any(item.attempts_used for item in world.updates(rollout_id))


def test_a_free_hub_completes_what_its_day_allows_and_the_rest_on_the_next() -> None:
    """Check F1: 8,000 messages of 0.5 KB a day, 30% of them for rollouts."""
    world = World(devices(400), quotas(Tier.F1, 1, 0.8, daily_share=0.3))
    rollout_id = world.create().rollout.id
    world.ticks(30)
    waiting = world.rollout(rollout_id)
    assert waiting.status_reason is not None
    assert waiting.status_reason.code == "dailyQuota"
    assert 0 < waiting.counts.completed < 400
    world.pass_time(hours=12)
    ended = world.until_over(rollout_id)
    assert (ended.status, ended.counts.completed) == (RolloutStatus.COMPLETED, 400)
