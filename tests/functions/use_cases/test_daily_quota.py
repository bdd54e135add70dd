"""Test what rollouts do when the messages of the day are used up: their share, or the hub's."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from functions.rollouts.model.outage import DAILY_QUOTA
from functions.rollouts.model.quotas import Budget, Quotas, Tier, quotas
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.rollout.pacing import refill
from simulator.rehearsal.meter import Meter
from tests.functions.use_cases.world import World, devices

SMALL = quotas(Tier.S1, 1, daily_share=0.001)  # 400 messages a day


def _spent(world: World) -> float:
    stored = world.stores.budget.get()
    assert stored is not None
    return stored.record.messages_spent


def _reason(rollout: Rollout) -> str:
    return rollout.status_reason.code if rollout.status_reason else ""


def _refuse(world: World) -> None:
    """Let the hub refuse everything for its day: others have used its messages."""
    world.hub.meter = Meter(quotas(Tier.S1, 1))
    now = world.now.timestamp()
    world.hub.meter._count_messages(now, 400_000)  # noqa: SLF001 - what others sent


def test_a_rollout_stops_at_its_share_and_goes_on_after_midnight() -> None:
    world = World(devices(100), SMALL)
    rollout_id = world.create(Strategy(soak=timedelta(minutes=10))).rollout.id
    world.ticks(600)
    waiting = world.rollout(rollout_id)
    assert _reason(waiting) == DAILY_QUOTA
    assert waiting.status_reason is not None
    assert "400 messages of the day" in waiting.status_reason.message
    assert "0.1% of the hub's 400,000" in waiting.status_reason.message
    assert "2026-11-24T00:00:00Z" in waiting.status_reason.message
    # Those that started were observed to their ends, from the messages reserved for them.
    assert waiting.counts.completed > 0
    assert waiting.counts.updating == waiting.counts.soaking == waiting.counts.failed == 0
    assert _spent(world) <= 400
    before = world.hub.operations.messages
    world.ticks(60)
    assert world.hub.operations.messages == before
    for _ in range(10):
        world.pass_time(days=1)
        world.ticks(400)
    ended = world.rollout(rollout_id)
    assert ended.status is RolloutStatus.COMPLETED
    assert all(item.attempt == 1 for item in world.updates(rollout_id))


def test_messages_are_counted_as_the_hub_counts_them() -> None:
    world = World(devices(60))
    world.create(Strategy(soak=timedelta(minutes=10)))
    world.ticks(200)
    counted, hubs = _spent(world), world.hub.operations.messages
    assert abs(counted - hubs) <= 0.02 * hubs


def test_a_hub_whose_day_is_used_up_is_not_called_until_midnight() -> None:
    world = World(devices(200, stage=600), quotas(Tier.S1, 1))
    rollout_id = world.create(Strategy(timeout=timedelta(hours=1))).rollout.id
    world.ticks(3)
    assert world.rollout(rollout_id).counts.updating > 0
    _refuse(world)
    world.ticks(3)
    calls = _count_calls(world)
    assert _reason(world.rollout(rollout_id)) == DAILY_QUOTA
    world.ticks(600)  # longer than the timeout
    assert not calls
    waiting = world.rollout(rollout_id)
    assert waiting.counts.failed == 0
    assert waiting.status_reason is not None
    assert "403002" in waiting.status_reason.message
    world.pass_time(hours=12)
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED
    assert calls
    assert all(item.attempt == 1 for item in world.updates(rollout_id))


def _count_calls(world: World) -> list[str]:
    hub: Any = world.hub
    calls: list[str] = []
    for name in ("invoke_all", "read_twins", "query_twins", "query_connections", "query_failures"):
        hub.__dict__[name] = _counted(getattr(hub, name), calls, name)
    return calls


def _counted(call: Any, calls: list[str], name: str) -> Any:
    def counted(*arguments: Any) -> Any:
        calls.append(name)
        return call(*arguments)

    return counted


def test_a_small_rollout_created_when_the_share_is_used_up_starts_nothing() -> None:
    world = World(devices(3), SMALL)
    world.create()
    world.ticks(30)
    stored = world.stores.budget.get()
    assert stored is not None
    world.stores.budget.save(replace(stored.record, messages_spent=400.0), stored.version)
    created = world.create(Strategy(soak=timedelta(minutes=1)))
    assert created.rollout.counts.queued == 3
    assert _reason(created.rollout) == DAILY_QUOTA


def test_more_units_end_the_wait_at_once() -> None:
    world = World([], SMALL)
    limits: Quotas = quotas(Tier.S1, 2)
    refused = Budget(
        at=world.now, refused_until=limits.day_ends_at(world.now), refused_of=400_000.0
    )
    later = world.now + timedelta(minutes=1)
    assert refill(refused, SMALL, later).refused_until is not None
    assert refill(refused, limits, later).refused_until is None
    assert refill(refused, SMALL, world.now + timedelta(days=1)).refused_until is None


def test_a_refusal_right_after_midnight_is_tried_again_soon() -> None:
    limits = quotas(Tier.S1, 1)
    midnight = limits.day_ends_at(World([]).now)
    early, late = midnight + timedelta(seconds=2), midnight + timedelta(hours=2)
    assert limits.calls_resume_at(early) == early + timedelta(minutes=5)
    assert limits.calls_resume_at(late) == midnight + timedelta(days=1)
