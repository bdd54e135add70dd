"""Rollouts while responses, messages and reads are lost, late or repeated."""

from datetime import timedelta
from typing import Any

import pytest

from functions.errors import LostRaceError, StorageUnavailableError
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Offline, OfflinePolicy, Strategy
from functions.use_cases.dispatch import dispatch, give_up
from functions.use_cases.target_devices import MAX_STARTED_BY_REQUEST
from tests.functions.use_cases.world import World, device, devices


def stores_of(world: World) -> Any:
    """Return the world's stores, untyped, so that a test can replace methods."""
    return world.stores


@pytest.mark.parametrize("tutorial_only", [False, True])
@pytest.mark.parametrize("lost", ["responses", "requests"])
def test_after_a_lost_response_the_device_updates_exactly_once(
    lost: str, tutorial_only: bool
) -> None:
    only = device("a", tutorial_only=tutorial_only)
    setattr(only, f"lose_{lost}", 2)
    world = World([only])
    creation = world.create(Strategy(timeout=timedelta(minutes=5)))
    assert creation.updates[0].in_doubt
    assert world.until_over(creation.rollout.id).status is RolloutStatus.COMPLETED
    assert len(only.started) == 1
    assert only.overlaps == 0


def test_a_queue_that_loses_or_repeats_messages_changes_nothing() -> None:
    world = World(devices(MAX_STARTED_BY_REQUEST + 1))
    creation = world.create()
    lost = world.advance()
    world.pass_time(seconds=61)
    again = world.advance()
    assert len(lost) == len(again) == 1
    world.dispatch(*lost, *again, *again)
    assert world.until_over(creation.rollout.id).status is RolloutStatus.COMPLETED
    assert world.has_started_each_once()


def test_two_dispatches_of_the_same_batch_invoke_a_device_once() -> None:
    """Claim the batch a second time between the first dispatch's read and its claim."""
    world = World(devices(MAX_STARTED_BY_REQUEST + 1, tutorial_only=True))
    world.create()
    (batch,) = world.advance()
    save = world.stores.rollouts.save
    raced: list[bool] = []

    def race(*arguments: Any) -> Any:
        if not raced:
            raced.append(True)
            dispatch(world.services, batch)
        return save(*arguments)

    stores_of(world).rollouts.save = race
    dispatch(world.services, batch)
    assert world.has_started_each_once()


def test_two_timers_at_the_same_moment_spend_the_quota_once() -> None:
    limits = quotas(Tier.S1, 1)
    world = World(devices(500), limits)
    world.create()
    save = world.stores.budget.save
    raced: list[bool] = []

    def race(*arguments: Any) -> Any:
        if not raced:
            raced.append(True)
            world.advance()
        return save(*arguments)

    stores_of(world).budget.save = race
    late = world.advance()
    assert late == []


def test_a_tutorial_device_in_doubt_is_never_invoked_twice() -> None:
    """Let time pass between two decisions, which must use the same time."""
    for offset in range(60):
        only = device("a", tutorial_only=True, lose_responses=1, stage=200)
        world = World([only])
        world.create(Strategy(timeout=timedelta(minutes=20)))
        world.pass_time(seconds=29.97, milliseconds=offset)
        world.ticks(4, seconds=0)
        assert len(only.started) == 1


def test_a_device_that_went_offline_after_a_lost_response_is_waited_for() -> None:
    only = device("a", lose_requests=1)
    world = World([only])
    creation = world.create(Strategy(timeout=timedelta(minutes=5)))
    world.hub.disconnect("a")
    world.ticks(200)
    assert world.update(creation.rollout.id).in_doubt
    world.hub.reconnect("a")
    assert world.until_over(creation.rollout.id).status is RolloutStatus.COMPLETED
    assert len(only.started) == 1


def test_a_device_whose_twin_cannot_be_read_does_not_hold_up_the_others() -> None:
    world = World([device("a"), device("b")])
    creation = world.create()
    world.hub.unreadable = {"a"}
    world.ticks(10)
    assert world.update(creation.rollout.id, "b").state is DeviceState.COMPLETED
    assert world.update(creation.rollout.id, "a").state is DeviceState.ACCEPTED
    world.hub.unreadable = set()
    assert world.until_over(creation.rollout.id).status is RolloutStatus.COMPLETED


def test_lagging_queries_stop_no_rollout_and_time_out_no_device() -> None:
    """Use more devices than are read singly; only fresh twins decide timeouts."""
    world = World(devices(60, stage=80))
    world.hub.query_lag = timedelta(minutes=30)
    creation = world.create(Strategy(timeout=timedelta(seconds=300)))
    assert world.until_over(creation.rollout.id).status is RolloutStatus.COMPLETED
    assert world.has_started_each_once()


def test_a_tick_that_loses_every_race_does_not_end_the_rollout() -> None:
    world = World([device("a")])
    creation = world.create()
    save = world.stores.rollouts.save

    def lose(*_: Any) -> Any:
        raise LostRaceError("always")

    stores_of(world).rollouts.save = lose
    world.ticks(5)
    assert not world.rollout(creation.rollout.id).is_over
    stores_of(world).rollouts.save = save
    assert world.until_over(creation.rollout.id).status is RolloutStatus.COMPLETED


def test_an_outcome_that_could_not_be_stored_is_settled_like_a_crash() -> None:
    world = World([device("a"), device("b")])
    save = world.stores.rollouts.save

    def fail(*_: Any) -> Any:
        raise StorageUnavailableError("not now")

    stores_of(world).rollouts.save = fail
    creation = world.create()
    stores_of(world).rollouts.save = save
    assert {update.state for update in world.updates(creation.rollout.id)} == {
        DeviceState.DISPATCHING
    }
    assert world.until_over(creation.rollout.id).status is RolloutStatus.COMPLETED
    assert world.has_started_each_once()


def test_the_devices_of_a_batch_that_is_given_up_fail_with_the_reason() -> None:

    world = World(devices(20))
    creation = world.create()
    (batch,) = world.advance()
    give_up(world.services, batch, "five attempts")
    update = world.updates(creation.rollout.id)[0]
    assert update.error is not None
    assert (update.error.code, update.error.message) == ("unreachable", "five attempts")
    assert world.until_over(creation.rollout.id).status is RolloutStatus.FAILED


def test_devices_in_doubt_that_fill_the_limit_are_invoked_again_and_block_no_other() -> None:
    """Stop the process between the claim and the method."""
    world = World(devices(30))
    rollout_id = world.create(Strategy(max_in_flight=10)).rollout.id
    batches = world.advance()
    invoke: Any = world.hub.invoke_all

    def die(*_: Any) -> Any:
        raise StorageUnavailableError("the process died")

    patched_hub: Any = world.hub
    patched_hub.invoke_all = die
    world.dispatch(*batches)
    patched_hub.invoke_all = invoke
    assert world.rollout(rollout_id).counts.updating == 10
    ended = world.until_over(rollout_id, ticks=60)
    assert ended.counts.completed == 30
    assert world.has_started_each_once()


def test_a_device_whose_wait_ends_while_another_outcome_is_stored_is_not_forgotten() -> None:
    busy = [device("a"), device("b")]
    world = World(busy)
    other = {"fwPackageUri": "https://x.example/2", "rolloutId": "another", "attempt": 1}
    for found in busy:
        found.receive_method(other, world.now.timestamp())
    offline = Offline(policy=OfflinePolicy.SKIP, deadline=timedelta(hours=1))
    rollout_id = world.create(Strategy(offline=offline)).rollout.id
    first, second = sorted(world.updates(rollout_id), key=lambda item: str(item.not_before))
    assert first.not_before is not None
    assert second.not_before is not None
    world.clock.now = first.not_before
    (batch,) = world.advance()
    world.hub.disconnect(first.device_id)
    world.clock.now = second.not_before
    world.dispatch(batch)
    assert world.update(rollout_id, first.device_id).state is DeviceState.SKIPPED
    assert world.until_over(rollout_id).status is RolloutStatus.COMPLETED
    assert world.update(rollout_id, second.device_id).state is DeviceState.COMPLETED
