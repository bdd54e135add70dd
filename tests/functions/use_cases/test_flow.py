"""The use cases together, on a virtual clock: what a device and a caller live through."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from functions.errors import InvalidError
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Offline, OfflinePolicy, Retry, Strategy
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands
from functions.use_cases.create import create
from functions.use_cases.target_devices import MAX_STARTED_BY_REQUEST
from tests.functions.use_cases.world import World, device, devices

STAGES = ["queued", "dispatching", "accepted", "downloading", "applying", "completed"]


def test_a_small_rollout_is_started_by_the_request_and_followed_to_its_end() -> None:
    world = World([device("a"), device("b", tutorial_only=True)])
    creation = world.create()
    assert [update.state for update in creation.updates] == [DeviceState.ACCEPTED] * 2
    assert world.until_over(creation.rollout.id).status is RolloutStatus.COMPLETED
    for name in ("a", "b"):
        steps = world.update(creation.rollout.id, name).history
        assert [step.state.value for step in steps] == STAGES


def test_a_larger_rollout_is_started_by_the_timer_through_the_queue() -> None:
    world = World(devices(MAX_STARTED_BY_REQUEST + 15))
    creation = world.create()
    assert creation.updates == ()
    states = {update.state for update in world.updates(creation.rollout.id)}
    assert states == {DeviceState.QUEUED}
    assert world.until_over(creation.rollout.id).status is RolloutStatus.COMPLETED
    assert world.has_started_each_once()


def test_a_device_that_the_hub_does_not_know_is_named_and_nothing_is_stored() -> None:
    world = World([device("a")])
    with pytest.raises(InvalidError) as caught:
        create(world.services, world.request("a", "ghost"), "key")
    assert [field.pointer for field in caught.value.fields] == ["/target/deviceIds/1"]
    assert world.stores.rollouts.list_open_ids() == []
    assert world.stores.keys.get("key") is None


def test_an_offline_device_starts_when_it_reconnects_and_costs_nothing_before() -> None:
    only = device("a", online=False)
    world = World([only])
    creation = world.create()
    assert creation.updates[0].state is DeviceState.QUEUED
    world.ticks(60)
    assert "Offline since" in (world.update(creation.rollout.id).explanation or "")
    methods, messages = world.hub.operations.methods, world.hub.operations.messages
    world.ticks(360)
    assert world.hub.operations.methods == methods
    assert world.hub.operations.messages - messages <= 10
    world.hub.reconnect("a")
    assert world.until_over(creation.rollout.id).status is RolloutStatus.COMPLETED
    assert len(only.started) == 1


def test_an_offline_device_that_is_back_soon_starts_at_the_next_tick() -> None:
    world = World([device("a", online=False)])
    creation = world.create()
    world.ticks(3)
    world.hub.reconnect("a")
    world.ticks(2)
    assert world.update(creation.rollout.id).state.in_flight


def test_an_offline_device_is_given_up_at_the_deadline() -> None:
    world = World([device("a", online=False)])
    creation = world.create(Strategy(offline=Offline(deadline=timedelta(minutes=5))))
    ended = world.until_over(creation.rollout.id)
    assert ended.status is RolloutStatus.FAILED
    assert world.now >= creation.rollout.definition.created_at + timedelta(minutes=5)
    error = world.update(creation.rollout.id).error
    assert error is not None
    assert error.code == "unreachable"


def test_a_skipped_device_lets_the_rollout_complete() -> None:
    world = World([device("a", online=False), device("b")])
    creation = world.create(Strategy(offline=Offline(policy=OfflinePolicy.SKIP)))
    ended = world.until_over(creation.rollout.id)
    assert ended.status is RolloutStatus.COMPLETED
    assert ended.counts.skipped == 1


def test_a_device_that_goes_offline_in_an_update_fails_at_its_timeout() -> None:
    world = World([device("a", hangs=True)])
    creation = world.create(Strategy(timeout=timedelta(seconds=95)))
    world.hub.disconnect("a")
    world.ticks(9)
    assert world.rollout(creation.rollout.id).status is RolloutStatus.RUNNING
    world.ticks(11)
    assert world.rollout(creation.rollout.id).status is RolloutStatus.RUNNING
    world.ticks(3)
    assert world.rollout(creation.rollout.id).status is RolloutStatus.FAILED
    error = world.update(creation.rollout.id).error
    assert error is not None
    assert error.code == "wentDark"


def test_a_hung_device_has_as_many_attempts_as_the_strategy_allows() -> None:
    only = device("a", hangs=True)
    world = World([only])
    strategy = Strategy(timeout=timedelta(seconds=60), retry=Retry(attempts=3))
    rollout_id = world.create(strategy).rollout.id
    assert world.until_over(rollout_id).status is RolloutStatus.FAILED
    failed = world.update(rollout_id)
    assert (failed.attempt, failed.attempts_used) == (3, 2)
    assert failed.error is not None
    assert failed.error.code == "timedOut"


def test_a_tick_leases_no_more_than_the_quota_allows_and_each_device_once() -> None:
    limits = quotas(Tier.S1, 1)
    world = World(devices(400), limits)
    world.create()
    seen: list[tuple[int, DeviceSet]] = []
    for _ in range(3):
        batches = world.advance()
        count = sum(len(batch.devices) for batch in batches)
        assert count <= limits.starts * 15
        seen += [(batch.block, batch.devices) for batch in batches]
        world.pass_time(seconds=10)
    for block in range(4):
        of_block = [found for number, found in seen if number == block]
        assert sum(len(found) for found in of_block) <= 100
        for found in of_block:
            assert all(not found & other or found is other for other in of_block)


def test_a_device_that_has_reported_is_not_invoked_again() -> None:
    """Let the first report arrive after a lost response, while the repeat is in the queue."""
    only = device("a", lose_responses=1, stage=45)
    world = World([only])
    creation = world.create()
    world.pass_time(seconds=40)
    batches = world.advance()
    assert batches
    world.pass_time(seconds=10)
    methods = world.hub.operations.methods
    world.dispatch(*batches)
    assert world.update(creation.rollout.id).state is DeviceState.DOWNLOADING
    assert world.hub.operations.methods == methods


def test_without_messages_left_today_no_device_starts_and_the_reason_is_shown() -> None:
    limits = quotas(Tier.S1, 1, daily_share=0.001)
    world = World(devices(100), limits)
    creation = world.create()
    world.ticks(600)
    rollout = world.rollout(creation.rollout.id)
    assert rollout.counts.queued > 0
    assert rollout.status_reason is not None
    assert rollout.status_reason.code == "dailyQuota"
    world.pass_time(days=1)
    world.ticks(3)
    assert world.rollout(creation.rollout.id).counts.queued < rollout.counts.queued


def test_a_connected_device_without_methods_is_invoked_less_and_less_often() -> None:
    world = World([device("a")])
    hub: Any = world.hub  # untyped, to replace its method
    invoke, calls = hub.invoke_all, []

    def invoke_offline(*arguments: Any) -> Any:
        calls.append(world.now)
        world.hub.disconnect("a")
        response = invoke(*arguments)
        world.hub.reconnect("a")
        return response

    hub.invoke_all = invoke_offline
    world.create()
    world.ticks(60)
    assert 3 <= len(calls) <= 7
    gaps = [later - earlier for earlier, later in pairwise(calls)]
    assert gaps == sorted(gaps)


def test_a_hanging_device_that_responds_busy_fails_soon_after_its_timeout() -> None:
    world = World([device("a", hangs=True)])
    rollout_id = world.create(Strategy(timeout=timedelta(minutes=10))).rollout.id
    ended = world.until_over(rollout_id, ticks=90)
    assert ended.status is RolloutStatus.FAILED
    error = world.update(rollout_id).error
    assert error is not None
    assert error.code == "timedOut"
    assert "still busy" in error.message


def test_a_device_that_is_busy_after_a_retry_command_is_waited_for() -> None:
    world = World([device("a", hangs=True)])
    rollout_id = world.create(Strategy(timeout=timedelta(minutes=10))).rollout.id
    assert world.until_over(rollout_id, ticks=90).status is RolloutStatus.FAILED
    commands.retry(world.services, rollout_id, Caller("ada"))
    world.ticks(90)
    assert world.rollout(rollout_id).status is RolloutStatus.RUNNING
    assert world.update(rollout_id).error is None
