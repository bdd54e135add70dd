"""Check what rollouts do while the hub refuses the app: expired keys, lost roles, IP filters."""

import logging
from datetime import timedelta

import pytest

from functions.errors import HubUnavailableError
from functions.rollouts.model.outage import ACCESS
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands
from functions.use_cases.create import create
from simulator.rehearsal.meter import CALLS, METHOD
from tests.functions.use_cases.world import World, devices

OPS = Caller("ops")
S1 = quotas(Tier.S1, 1, 0.8)


def shown(rollout: Rollout) -> str | None:
    return rollout.status_reason.code if rollout.status_reason else None


def actions(rollout: Rollout) -> list[str]:
    return [event.action for event in rollout.audit.events]


def refuse(world: World, *calls: str) -> None:
    world.hub.meter.refused = frozenset(calls) or CALLS


def accept(world: World) -> None:
    world.hub.meter.refused = frozenset()


def until_shown(world: World, rollout_id: str, seconds: float = 90) -> None:
    until = world.now + timedelta(seconds=seconds)
    while shown(world.rollout(rollout_id)) != ACCESS:
        assert world.now < until, world.rollout(rollout_id).status_reason
        world.tick()


def test_rollouts_say_so_within_a_minute_and_make_one_call_a_tick() -> None:
    world = World(devices(200), S1)
    ids = sorted(world.hub.devices)
    first = create(world.services, world.request(*ids[:100]), None).rollout.id
    second = create(world.services, world.request(*ids[100:]), None).rollout.id
    world.ticks(2)
    refuse(world)
    until_shown(world, first)
    until_shown(world, second, seconds=20)
    reason = world.rollout(first).status_reason
    assert reason is not None
    assert "IoT Hub Data Contributor" in reason.message
    assert "401002" in reason.message
    world.ticks(8)  # batches that were queued before are gone
    calls, revision = world.hub.meter.refusals, world.rollout(first).revision
    world.ticks(60)
    assert world.hub.meter.refusals - calls == 60
    assert world.rollout(first).revision == revision  # nothing is stored while nothing changes


@pytest.mark.parametrize("lasts", [timedelta(minutes=2), timedelta(days=8)])
def test_nothing_fails_and_all_go_on_by_themselves(lasts: timedelta) -> None:
    """Neither a timeout (1 h) nor an offline deadline (7 days) runs out meanwhile."""
    world = World(devices(60, stage=60), S1)
    world.hub.disconnect("d-059")
    rollout_id = world.create(Strategy()).rollout.id
    world.ticks(4)
    assert world.rollout(rollout_id).counts.updating > 0
    refuse(world)
    until_shown(world, rollout_id)
    world.ticks(6)
    world.pass_time(seconds=lasts.total_seconds())
    world.ticks(3)
    counts = world.rollout(rollout_id).counts
    assert (counts.failed, counts.skipped) == (0, 0)
    accept(world)
    world.hub.reconnect("d-059")
    world.ticks(2)
    assert shown(world.rollout(rollout_id)) is None
    ended = world.until_over(rollout_id, ticks=600)
    assert (ended.status, ended.counts.completed) == (RolloutStatus.COMPLETED, 60)
    assert not any(item.attempts_used for item in world.updates(rollout_id))
    assert actions(ended).count("outageBegan") == 1
    assert actions(ended).count("outageEnded") == 1


def test_methods_alone_may_be_refused() -> None:
    """A role of one's own may allow reads, and no direct methods."""
    world = World(devices(60), S1)
    rollout_id = world.create(Strategy()).rollout.id
    refuse(world, METHOD)
    until_shown(world, rollout_id)
    world.ticks(60)
    assert shown(world.rollout(rollout_id)) == ACCESS
    assert not any(item.attempts_used for item in world.updates(rollout_id))
    accept(world)
    ended = world.until_over(rollout_id, ticks=100)
    assert ended.counts.completed == 60


def test_a_role_that_is_not_effective_everywhere_yet_costs_no_device() -> None:
    """A new role assignment takes minutes, in which some calls are refused and others are not."""
    world = World(devices(60), S1)
    rollout_id = world.create(Strategy()).rollout.id
    for number in range(30):
        world.hub.meter.refused = frozenset() if number % 2 else CALLS
        world.tick()
        assert world.rollout(rollout_id).counts.failed == 0
    accept(world)
    ended = world.until_over(rollout_id)
    assert ended.counts.completed == 60
    assert not any(item.attempts_used for item in world.updates(rollout_id))


def test_a_hub_that_fails_and_then_refuses_is_one_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(devices(30, stage=600), S1)
    rollout_id = world.create(Strategy()).rollout.id
    world.ticks(2)

    def unavailable(*_: object) -> None:
        raise HubUnavailableError("The IoT Hub cannot be reached.")

    with monkeypatch.context() as broken:
        for name in ("read_twins", "query_twins", "query_connections", "ping"):
            broken.setattr(world.hub, name, unavailable)
        world.ticks(10)
        assert shown(world.rollout(rollout_id)) == "hubUnavailable"
    refuse(world)
    until_shown(world, rollout_id)
    accept(world)
    ended = world.until_over(rollout_id, ticks=600)
    assert ended.counts.completed == 30
    assert [item.code for item in ended.outages] == [ACCESS]


def test_commands_work_while_the_hub_refuses() -> None:
    world = World(devices(300), S1)
    rollout_id = world.create(Strategy(max_in_flight=20)).rollout.id
    world.ticks(2)
    refuse(world)
    until_shown(world, rollout_id)
    commands.cancel(world.services, rollout_id, OPS)
    world.ticks(3)
    rollout = world.rollout(rollout_id)
    assert rollout.counts.queued == 0
    assert rollout.counts.cancelled > 200


def test_each_tick_logs_the_refusal_for_an_alert(caplog: pytest.LogCaptureFixture) -> None:
    world = World(devices(30), S1)
    rollout_id = world.create(Strategy()).rollout.id
    refuse(world)
    until_shown(world, rollout_id)
    world.ticks(2)
    caplog.clear()
    with caplog.at_level(logging.ERROR):
        world.ticks(3)
    events = [getattr(record, "event", None) for record in caplog.records]
    assert events == ["hubRefusesAccess"] * 3
