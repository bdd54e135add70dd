"""Test when a webhook is tried again, and what one run delivers."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from functions.dispatch_queue.port import Delivery
from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.device.moment import Moment
from functions.rollouts.model import audit
from functions.rollouts.model.webhook import Failing
from functions.use_cases.commit import Change, commit
from functions.use_cases.deliver import MAX_EVENTS_PER_READ, MAX_RUN, deliver
from functions.use_cases.read import get_snapshot
from functions.use_cases.webhooks import NewWebhook, get_webhook, set_webhook
from tests.functions.fragile import CrashError, before
from tests.functions.use_cases.receivers import Received, WorldWithReceivers
from tests.functions.use_cases.world import devices


@pytest.fixture
def world() -> WorldWithReceivers:
    world = WorldWithReceivers(devices(2), still=True)
    world.services = replace(world.services, jitter=lambda: 0.0)
    set_webhook(world.services, "ops", NewWebhook(url="https://hooks.example/fleet"))
    return world


def create(world: WorldWithReceivers) -> Delivery:
    """Create a rollout, and return what delivers its events. The queue is empty then."""
    rollout_id = world.create().rollout.id
    world.deliveries.waiting.clear()
    return Delivery(rollout_id, "ops")


def add_event(world: WorldWithReceivers, delivery: Delivery) -> None:
    """Add an event without queueing its delivery."""

    def decide(moment: Moment, stored: Snapshot) -> Change:
        return Change(audit.add_event(stored.rollout, moment.now, "changed", "An event."))

    snapshot = get_snapshot(world.stores.rollouts, delivery.rollout_id)
    waiting = list(world.deliveries.waiting)
    commit(world.services, snapshot, decide)
    world.deliveries.waiting = waiting


def try_with(world: WorldWithReceivers, delivery: Delivery, *statuses: int) -> int:
    """Deliver once, with these responses and the last one again. Return the number of attempts."""
    left, made = list(statuses), world.receivers.attempts
    world.receivers.respond = lambda _: left.pop(0) if len(left) > 1 else left[0]
    deliver(world.services, delivery)
    return world.receivers.attempts - made


def seconds_of_attempts(world: WorldWithReceivers, seconds: int) -> Sequence[int]:
    """Let time pass, and return the seconds from now at which attempts were made."""
    found = []
    for second in range(seconds):
        made = world.receivers.attempts
        world.deliver()
        found += [second] * (world.receivers.attempts - made)
        world.pass_time(seconds=1)
    return found


def failing(world: WorldWithReceivers) -> Failing | None:
    return get_webhook(world.services, "ops").failing


def test_a_failed_event_is_tried_again_just_after_delays_that_double(
    world: WorldWithReceivers,
) -> None:
    assert try_with(world, create(world), 500) == 1
    assert seconds_of_attempts(world, 60) == [6, 6 + 11, 6 + 11 + 21]


def test_an_event_is_tried_again_after_the_time_that_its_receiver_says(
    world: WorldWithReceivers,
) -> None:
    world.receivers.retry_after_seconds = 30
    assert try_with(world, create(world), 503) == 1
    assert seconds_of_attempts(world, 60) == [31]


def test_after_a_success_the_delays_begin_again(world: WorldWithReceivers) -> None:
    delivery = create(world)
    add_event(world, delivery)
    try_with(world, delivery, 500)
    world.pass_time(seconds=6)
    assert try_with(world, delivery, 200, 500) == 2
    found = failing(world)
    assert found is not None
    assert (found.since, found.at) == (world.now, world.now)
    del world.deliveries.waiting[0]  # of the first failure
    assert seconds_of_attempts(world, 10) == [6]


@pytest.mark.parametrize(("seconds_early", "attempts"), [(5.5, 0), (5, 1), (0, 1), (-9, 1)])
def test_a_failing_webhook_is_not_tried_more_than_5_seconds_early(
    world: WorldWithReceivers, seconds_early: float, attempts: int
) -> None:
    delivery = create(world)
    for _ in range(3):
        try_with(world, delivery, 500)
        world.pass_time(seconds=20)
    world.pass_time(seconds=-seconds_early)
    assert try_with(world, delivery, 500) == attempts


def test_a_webhook_that_works_again_is_tried_at_once_for_every_rollout(
    world: WorldWithReceivers,
) -> None:
    delivery, other = create(world), create(world)
    for _ in range(5):
        try_with(world, delivery, 500)
        world.pass_time(minutes=1)
    try_with(world, delivery, 500)
    assert try_with(world, delivery, 200) == 0
    try_with(world, other, 200)
    assert failing(world) is None
    assert try_with(world, delivery, 200) > 0
    # The delay of the last failure is over with the success, too.
    add_event(world, other)
    try_with(world, other, 500)
    add_event(world, delivery)
    assert try_with(world, delivery, 200) == 1


def test_a_run_delivers_events_that_are_added_meanwhile(world: WorldWithReceivers) -> None:
    delivery = create(world)
    count = world.rollout(delivery.rollout_id).audit.event_count

    def add_one(_: Received) -> int:
        if len(world.receivers.received) < 3:
            add_event(world, delivery)
        return 200

    world.receivers.respond = add_one
    deliver(world.services, delivery)
    assert len(world.receivers.received) == count + 3


@pytest.mark.parametrize("seconds", [10, 50])
def test_a_run_is_the_only_one_until_a_minute_after_its_last_success(
    world: WorldWithReceivers, seconds: float
) -> None:
    delivery = create(world)
    for _ in range(4):
        add_event(world, delivery)

    def respond(_: Received) -> int:
        world.pass_time(seconds=seconds)
        waiting = len(world.deliveries.waiting)
        deliver(world.services, delivery)
        assert len(world.deliveries.waiting) == waiting + 1
        return 200

    world.receivers.respond = respond
    deliver(world.services, delivery)
    ids = world.receivers.ids()
    assert len(ids) == len(set(ids)) == world.rollout(delivery.rollout_id).audit.event_count


def test_a_run_that_crashed_is_repeated_after_a_minute(world: WorldWithReceivers) -> None:
    delivery = create(world)

    def crash(_: Received) -> int:
        raise CrashError

    world.receivers.respond = crash
    with pytest.raises(CrashError):
        deliver(world.services, delivery)
    world.pass_time(seconds=59)
    assert try_with(world, delivery, 200) == 0
    world.pass_time(seconds=1)
    assert try_with(world, delivery, 200) > 0


def test_the_rest_of_a_run_of_a_minute_is_delivered_at_once(world: WorldWithReceivers) -> None:
    delivery = create(world)
    for _ in range(MAX_EVENTS_PER_READ):
        add_event(world, delivery)

    def respond(_: Received) -> int:
        world.pass_time(milliseconds=1_000 * MAX_RUN.total_seconds() / MAX_EVENTS_PER_READ)
        return 200

    world.receivers.respond = respond
    deliver(world.services, delivery)
    assert len(world.receivers.received) == MAX_EVENTS_PER_READ
    world.deliver()
    assert len(world.receivers.received) > MAX_EVENTS_PER_READ


def test_a_failure_is_recorded_although_another_one_is_recorded_first(
    world: WorldWithReceivers,
) -> None:
    delivery, webhooks = create(world), world.stores.webhooks

    def record_other() -> None:
        stored = webhooks.get("ops")
        assert stored is not None
        webhooks.save(replace(stored.record, failing=None), stored.version)

    with before(webhooks, "save", record_other):
        try_with(world, delivery, 500)
    assert failing(world) is not None


def test_a_run_that_finds_no_events_leaves_them_to_the_next_one(
    world: WorldWithReceivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = create(world)
    with monkeypatch.context() as removed:
        removed.setattr(world.stores.rollouts, "list_events_from", lambda *_: [])
        assert try_with(world, delivery, 200) == 0
    assert try_with(world, delivery, 200) > 0
