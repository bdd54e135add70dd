"""Test which events are logged, and for which rollouts deliveries to webhooks are queued."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.errors import StorageUnavailableError
from functions.rollouts.model import audit
from functions.rollouts.model.audit_trail import Event
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import Strategy
from functions.rollouts.rollout import operator_commands
from functions.rollouts.rollout.operator_commands import Caller
from functions.telemetry.port import NoTelemetry
from functions.use_cases import commands, event_feed
from functions.use_cases.create import create
from functions.use_cases.webhooks import NewWebhook, set_webhook
from tests.cases.steps import ADA
from tests.functions.use_cases.receivers import WorldWithReceivers
from tests.functions.use_cases.world import devices

URL = "https://hooks.example/fleet"


@pytest.fixture
def world() -> WorldWithReceivers:
    """Return a world with a webhook, in which the first tick has passed."""
    world = WorldWithReceivers(devices(2), still=True)
    set_webhook(world.services, "ops", NewWebhook(url=URL))
    world.tick()
    return world


def queued(world: WorldWithReceivers) -> Sequence[tuple[str, str]]:
    """Take the deliveries out of the queue: the rollout and the webhook of each."""
    found = [(item.rollout_id, item.webhook) for _, _, item in world.deliveries.waiting]
    world.deliveries.waiting.clear()
    return found


def queued_by_tick(world: WorldWithReceivers) -> Sequence[str]:
    """Run one tick, and return the rollouts whose deliveries it queued."""
    queued(world)
    world.tick()
    return [rollout_id for rollout_id, _ in queued(world)]


def pause(world: WorldWithReceivers, rollout_id: str, caller: Caller = ADA) -> None:
    commands.run_command(world.services, rollout_id, operator_commands.pause, caller)


def create_scheduled(world: WorldWithReceivers) -> str:
    """Create a rollout of which the ticks store nothing new."""
    request = world.request(start_at=world.now + timedelta(days=30))
    rollout_id = create(world.services, request, None).rollout.id
    world.ticks(2)
    return rollout_id


def add_event_elsewhere(world: WorldWithReceivers, rollout_id: str) -> None:
    """Store an event as another process does."""
    snapshot = world.stores.rollouts.get(rollout_id)
    assert snapshot is not None
    changed = audit.add_event(snapshot.rollout, world.now, "changed", "An event.")
    world.stores.rollouts.save(snapshot, changed)


def test_a_change_is_queued_for_the_webhooks_that_want_one_of_its_events(
    world: WorldWithReceivers,
) -> None:
    set_webhook(world.services, "pauses", NewWebhook(url=URL, actions=("paused", "resumed")))
    queued(world)
    rollout_id = world.create().rollout.id
    assert {visible_at for visible_at, *_ in world.deliveries.waiting} == {world.now}
    assert set(queued(world)) == {(rollout_id, "ops")}
    pause(world, rollout_id)
    assert set(queued(world)) == {(rollout_id, "ops"), (rollout_id, "pauses")}


def test_a_tick_queues_events_of_another_process_once(world: WorldWithReceivers) -> None:
    rollout_id = create_scheduled(world)
    assert queued_by_tick(world) == []
    add_event_elsewhere(world, rollout_id)
    assert queued_by_tick(world) == [rollout_id]
    assert queued_by_tick(world) == []
    pause(world, rollout_id)
    assert queued_by_tick(world) == []


def test_a_tick_queues_again_what_the_queue_did_not_take(
    world: WorldWithReceivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout_id = create_scheduled(world)
    add_event_elsewhere(world, rollout_id)

    def fail(*_: Any) -> None:
        raise StorageUnavailableError("503")

    with monkeypatch.context() as down:
        down.setattr(world.deliveries, "put", fail)
        world.tick()
    assert queued_by_tick(world) == [rollout_id]
    assert queued_by_tick(world) == []


def test_a_tick_queues_an_event_that_was_stored_while_the_queue_was_down(
    world: WorldWithReceivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout_id = create_scheduled(world)

    def fail(*_: Any) -> None:
        raise StorageUnavailableError("503")

    with monkeypatch.context() as down:
        down.setattr(world.deliveries, "put", fail)
        pause(world, rollout_id)
    assert queued_by_tick(world) == [rollout_id]


def test_a_tick_queues_a_rollout_that_another_process_ended_once(
    world: WorldWithReceivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout_id = create_scheduled(world)
    assert commands.cancel(world.services, rollout_id, ADA).is_over

    def fail(*_: Any) -> None:
        raise StorageUnavailableError("503")

    world.services.feed.queued[rollout_id] = 1
    monkeypatch.setattr(world.stores.rollouts, "list_open_ids", list)
    with monkeypatch.context() as down:
        down.setattr(world.deliveries, "put", fail)
        world.tick()
    assert queued_by_tick(world) == [rollout_id]
    assert queued_by_tick(world) == []


def test_rollouts_that_ended_within_3_days_are_queued_every_10_minutes() -> None:
    world = WorldWithReceivers(devices(2), still=True)
    old = world.create().rollout.id
    ended_at = world.until_over(old).ended_at
    assert ended_at is not None
    world.clock.now = ended_at + timedelta(days=2)
    new = world.create().rollout.id
    assert world.until_over(new).is_over
    set_webhook(world.services, "ops", NewWebhook(url=URL))
    queued(world)
    feed = world.services.feed
    feed.webhooks, feed.swept_at = (), None  # a process that has not ticked yet
    assert set(queued_by_tick(world)) == {old, new}
    begun = world.now - timedelta(seconds=10)
    world.clock.now = begun + timedelta(minutes=9, seconds=59)
    assert queued_by_tick(world) == []
    world.clock.now = begun + timedelta(minutes=10)
    assert set(queued_by_tick(world)) == {old, new}
    world.clock.now = ended_at + timedelta(days=3, minutes=1)
    assert queued_by_tick(world) == [new]


def test_each_event_is_logged_once_with_its_number_and_the_rollout_as_stored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, event_feed.__name__)
    world = WorldWithReceivers(devices(2), still=True)
    strategy = Strategy(soak=timedelta(minutes=5))
    rollout_id = world.create(strategy).rollout.id
    while world.rollout(rollout_id).counts.soaking < 2:
        world.tick()
    pause(world, rollout_id, Caller("ada l.", "too hot"))
    lines: list[Any] = [item for item in caplog.records if item.name == event_feed.__name__]
    assert [line.eventNumber for line in lines] == list(range(len(lines)))
    last = lines[-1]
    assert (last.event, last.reasonCode, lines[0].reasonCode) == ("audit", "paused", "")
    assert (last.updating, last.total) == (2, 2)
    text = last.getMessage()
    assert f"rolloutId={rollout_id} " in text
    assert 'by="ada l." status=paused ' in text
    assert 'reasonCode="" ' in lines[0].getMessage()
    message = world.rollout(rollout_id).audit.events[-1].message
    assert text.endswith(f'text="{message}"')


class Recorder(NoTelemetry):
    """Keep the changes that telemetry is told of."""

    def __init__(self) -> None:
        self.changes: list[tuple[int | None, int, Sequence[str]]] = []

    def record_change(
        self, before: Rollout | None, after: Rollout, events: Sequence[Event]
    ) -> None:
        revision = before.revision if before else None
        self.changes.append((revision, after.revision, [event.action for event in events]))


def test_telemetry_is_told_of_each_change_with_the_rollout_before(
    world: WorldWithReceivers,
) -> None:
    recorder = Recorder()
    world.services = replace(world.services, telemetry=recorder)
    request = world.request(start_at=world.now + timedelta(days=30))
    rollout_id = create(world.services, request, None).rollout.id
    pause(world, rollout_id)
    (created, *_, paused) = recorder.changes
    assert created[0] is None
    assert created[2][0] == "created"
    assert paused == (
        world.rollout(rollout_id).revision - 1,
        world.rollout(rollout_id).revision,
        ["paused"],
    )
