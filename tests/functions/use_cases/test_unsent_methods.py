"""Test that a stop ends the sending of a batch that was claimed before, without a trace of it.

Claims of up to a hundred devices are stored in one write, and their methods follow for up to
HubTimeouts.method_start (30 s). The status is read again meanwhile.
"""

from collections.abc import Callable, Mapping
from datetime import time
from typing import Any

import pytest

from functions.errors import StorageUnavailableError
from functions.hub_gateway.port import Invocations
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.freeze import NewFreeze
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Strategy, Window
from functions.rollouts.rollout import operator_commands
from functions.use_cases import commands, freeze
from functions.use_cases.create import create
from tests.cases.steps import ADA, require
from tests.functions.use_cases.test_commands_races import check_counters
from tests.functions.use_cases.world import World, devices


def interrupt(world: World, after: int, action: Callable[[], object]) -> list[str]:
    """Send methods one after the other, as the gateway does with slow devices.

    Call `action` once `after` methods are on their way. Return the list of devices that were sent
    a method; it grows.
    """
    hub: Any = world.hub
    invoke_all = hub.invoke_all
    sent: list[str] = []

    def one_by_one(
        method: str,
        payloads: Mapping[str, Any],
        may_send: Callable[[], bool],
        share: str,  # noqa: ARG001 - the gateway's argument
    ) -> Invocations:
        outcomes: dict[str, Any] = {}
        for name, payload in payloads.items():
            if not may_send():
                continue
            sent.append(name)
            outcomes |= invoke_all(method, {name: payload}).outcomes
            if len(sent) == after:
                action()
                world.pass_time(seconds=1)
        return Invocations(outcomes=outcomes)

    hub.invoke_all = one_by_one
    return sent


def pause(world: World, rollout_id: str) -> None:
    found = commands.run_command(world.services, rollout_id, operator_commands.pause, ADA)
    require(found.status is RolloutStatus.PAUSED, "the rollout is paused")


def resume(world: World, rollout_id: str) -> None:
    commands.run_command(world.services, rollout_id, operator_commands.resume, ADA)


def test_no_device_is_invoked_once_a_pause_is_in_force() -> None:
    world = World(devices(100))
    rollout_id = create(world.services, world.request(strategy=Strategy()), None).rollout.id
    sent = interrupt(world, 16, lambda: pause(world, rollout_id))
    world.dispatch(*world.advance())
    assert (len(sent), world.hub.started) == (16, 16)
    counts = world.rollout(rollout_id).counts
    assert (counts.queued, counts.updating) == (84, 16)
    check_counters(world, rollout_id)


def test_what_was_not_sent_keeps_its_attempt_and_its_history() -> None:
    world = World(devices(40))
    rollout_id = create(world.services, world.request(strategy=Strategy()), None).rollout.id
    before = {item.device_id: item for item in world.updates(rollout_id)}
    sent = interrupt(world, 16, lambda: pause(world, rollout_id))
    world.dispatch(*world.advance())
    unsent = [item for item in world.updates(rollout_id) if item.device_id not in sent]
    assert len(unsent) == 24
    for update in unsent:
        earlier = before[update.device_id]
        assert update._replace(updated_at=earlier.updated_at) == earlier
    resume(world, rollout_id)
    over = world.until_over(rollout_id)
    assert (over.status, over.counts.completed) == (RolloutStatus.COMPLETED, 40)
    assert world.hub.started == 40
    assert {item.attempt for item in world.updates(rollout_id)} == {1}


def test_what_was_not_sent_before_a_cancel_is_cancelled() -> None:
    world = World(devices(100))
    rollout_id = create(world.services, world.request(strategy=Strategy()), None).rollout.id
    interrupt(world, 16, lambda: commands.cancel(world.services, rollout_id, ADA))
    world.dispatch(*world.advance())
    over = world.until_over(rollout_id)
    assert (over.counts.completed, over.counts.cancelled) == (16, 84)
    assert world.hub.started == 16


def test_a_pause_while_the_request_sends_its_methods_stops_the_others() -> None:
    world = World(devices(8))
    sent = interrupt(world, 3, lambda: pause(world, world.stores.rollouts.list_open_ids()[0]))
    created = create(world.services, world.request(strategy=Strategy()), None)
    assert (len(sent), created.rollout.counts.queued) == (3, 5)
    resume(world, created.rollout.id)
    assert world.until_over(created.rollout.id).counts.completed == 8
    assert world.hub.started == 8


def test_an_attempt_in_doubt_that_was_not_sent_again_stays_in_doubt() -> None:
    world = World(devices(30, lose_requests=1))
    rollout_id = create(world.services, world.request(strategy=Strategy()), None).rollout.id
    world.dispatch(*world.advance())
    before = {item.device_id: item for item in world.updates(rollout_id)}
    require(all(item.in_doubt for item in before.values()), "no response came")
    sent = interrupt(world, 5, lambda: pause(world, rollout_id))
    for _ in range(12):
        world.ticks(1)
        if sent:
            break
    require(len(sent) == 5, "some methods were sent again")
    check_counters(world, rollout_id)
    unsent = [item for item in world.updates(rollout_id) if item.device_id not in sent]
    for update in unsent:
        earlier = before[update.device_id]
        assert (update.in_doubt, update.attempts_used) == (True, earlier.attempts_used)
        assert update.history == earlier.history
    resume(world, rollout_id)
    over = world.until_over(rollout_id)
    assert (over.status, over.counts.completed) == (RolloutStatus.COMPLETED, 30)
    assert world.hub.started == 30


def test_the_end_of_the_window_stops_the_rest_of_a_batch() -> None:
    world = World(devices(40))
    window = Window(start=time(11), end=time(13), timezone="UTC")
    strategy = Strategy(window=window)
    rollout_id = create(world.services, world.request(strategy=strategy), None).rollout.id
    sent = interrupt(world, 10, lambda: world.pass_time(hours=1))
    world.dispatch(*world.advance())
    assert (len(sent), world.rollout(rollout_id).counts.queued) == (10, 30)


def test_a_storage_that_does_not_respond_stops_the_rest_of_a_batch() -> None:
    """The outcomes of further methods could not be stored either."""
    world = World(devices(40))
    rollout_id = create(world.services, world.request(strategy=Strategy()), None).rollout.id
    store: Any = world.stores.rollouts

    def fail(_: str) -> RolloutStatus:
        raise StorageUnavailableError("gone")

    def lose_storage() -> None:
        store.get_status = fail

    sent = interrupt(world, 10, lose_storage)
    world.dispatch(*world.advance())
    assert len(sent) == 10
    assert world.rollout(rollout_id).counts.queued == 30


@pytest.mark.parametrize("number", [10, 100])
def test_a_batch_that_is_sent_at_once_costs_no_read_of_the_status(number: int) -> None:
    world = World(devices(number), still=True)
    store: Any = world.stores.rollouts
    store.get_status = None
    rollout_id = create(world.services, world.request(strategy=Strategy()), None).rollout.id
    world.ticks(1)
    assert {item.state for item in world.updates(rollout_id)} == {DeviceState.ACCEPTED}


def test_a_later_rollout_ends_the_sending_of_a_batch_that_was_claimed_before_it() -> None:
    world = World(devices(40))
    rollout_id = create(world.services, world.request(strategy=Strategy()), None).rollout.id
    batches = world.advance()
    later: list[str] = []

    def supersede() -> None:
        later.append(world.create().rollout.id)

    sent = interrupt(world, 10, supersede)
    world.dispatch(*batches)
    assert len(sent) == 10
    skipped = [item for item in world.updates(rollout_id) if item.state is DeviceState.SKIPPED]
    assert len(skipped) == 30
    assert all(later[0] in (item.explanation or "") for item in skipped)
    check_counters(world, rollout_id)
    counts = world.until_over(later[0]).counts
    assert (counts.completed, counts.skipped) == (30, 10)  # ten run the version already


def test_a_freeze_of_other_devices_that_was_known_before_stops_no_batch() -> None:
    world = World(devices(40))
    world.hub.matching = {"another"}
    new = NewFreeze(reason="Fair.", condition="tags.site = 'berlin'")
    freeze.set_freeze(world.services, new, ADA)
    create(world.services, world.request(strategy=Strategy()), None)
    sent = interrupt(world, 5, lambda: world.pass_time(seconds=2))
    world.dispatch(*world.advance())
    assert len(sent) == 40
