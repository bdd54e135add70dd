"""The use cases together, on a virtual clock: what a device and a caller live through."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.errors import ConflictError, InProgressError, InvalidError
from functions.rollouts.model import (
    DeviceState,
    Offline,
    OfflinePolicy,
    Retry,
    RolloutStatus,
    Strategy,
)
from functions.use_cases.create import KEY_LEASE, STARTED_AT_ONCE_AT_MOST, create
from functions.use_cases.dispatch import dispatch
from tests.functions.fragile import CrashError, Fragile
from tests.functions.use_cases.world import World
from tests.functions.virtual_hub import VirtualDevice


def test_a_small_rollout_is_started_by_the_request_and_followed_to_its_end() -> None:
    world = World({"a": VirtualDevice(), "b": VirtualDevice(tutorial_only=True)})
    creation = world.create()
    assert [update.state for update in creation.updates] == [DeviceState.ACCEPTED] * 2
    ended = world.run(creation.rollout.id)
    assert ended.status is RolloutStatus.COMPLETED
    for device in ("a", "b"):
        steps = world.update(creation.rollout.id, device).history
        assert [step.state.value for step in steps] == [
            "queued", "dispatching", "accepted", "downloading", "applying", "completed",
        ]  # fmt: skip


def test_a_larger_rollout_is_started_by_the_timer_through_the_queue() -> None:
    number = STARTED_AT_ONCE_AT_MOST + 15
    world = World({f"device-{n}": VirtualDevice() for n in range(number)})
    creation = world.create()
    assert {update.state for update in creation.updates} == {DeviceState.QUEUED}
    assert world.run(creation.rollout.id).status is RolloutStatus.COMPLETED
    assert all(len(device.started) == 1 for device in world.hub.devices.values())


def test_a_device_that_the_hub_does_not_know_is_named_and_nothing_is_stored() -> None:
    world = World({"a": VirtualDevice()})
    with pytest.raises(InvalidError) as caught:
        create(world.services, world.request(None, "a", "ghost"), "key")
    assert [field.pointer for field in caught.value.fields] == ["/target/deviceIds/1"]
    assert world.store.open_rollouts() == []
    assert world.store.key_use("key") is None


def test_an_offline_device_starts_when_it_comes_back() -> None:
    device = VirtualDevice(online=False)
    world = World({"a": device})
    creation = world.create()
    assert creation.updates[0].state is DeviceState.QUEUED
    for _ in range(30):
        world.tick()
    assert device.started == []
    device.online = True
    assert world.run(creation.rollout.id, ticks=8).status is RolloutStatus.COMPLETED
    assert len(device.started) == 1


def test_an_offline_device_is_given_up_at_the_deadline() -> None:
    world = World({"a": VirtualDevice(online=False)})
    deadline = Strategy(offline=Offline(deadline=timedelta(minutes=5)))
    creation = world.create(deadline)
    ended = world.run(creation.rollout.id)
    assert ended.status is RolloutStatus.FAILED
    assert world.now >= creation.rollout.created_at + timedelta(minutes=5)
    error = world.update(creation.rollout.id, "a").error
    assert error is not None
    assert error.code == "unreachable"


def test_a_skipped_device_lets_the_rollout_complete() -> None:
    world = World({"a": VirtualDevice(online=False), "b": VirtualDevice()})
    creation = world.create(Strategy(offline=Offline(policy=OfflinePolicy.SKIP)))
    ended = world.run(creation.rollout.id)
    assert ended.status is RolloutStatus.COMPLETED
    assert ended.final_counts is not None
    assert ended.final_counts.skipped == 1


def test_a_device_that_stops_in_the_middle_times_out_and_not_before() -> None:
    device = VirtualDevice(hangs=True)
    world = World({"a": device})
    creation = world.create(Strategy(timeout=timedelta(seconds=95)))
    device.online = False
    for _ in range(9):
        world.tick()
        assert world.rollout(creation.rollout.id).status is RolloutStatus.RUNNING
    world.tick()
    assert world.rollout(creation.rollout.id).status is RolloutStatus.FAILED
    error = world.update(creation.rollout.id, "a").error
    assert error is not None
    assert error.code == "timedOut"


@pytest.mark.parametrize("tutorial_only", [False, True])
@pytest.mark.parametrize("lost", ["answers", "requests"])
def test_a_lost_answer_makes_no_device_update_twice_and_loses_none(
    lost: str, tutorial_only: bool
) -> None:
    device = VirtualDevice(tutorial_only=tutorial_only)
    setattr(device, f"lose_{lost}", 2)
    world = World({"a": device})
    creation = world.create(Strategy(timeout=timedelta(minutes=5)))
    assert creation.updates[0].in_doubt
    assert world.run(creation.rollout.id).status is RolloutStatus.COMPLETED
    assert len(device.started) == 1
    assert device.overlaps == 0


def test_a_queue_that_loses_or_repeats_messages_changes_nothing() -> None:
    number = STARTED_AT_ONCE_AT_MOST + 1
    world = World({f"device-{n}": VirtualDevice() for n in range(number)})
    creation = world.create()
    world.tick(deliver=False)
    repeated = list(world.queue)
    world.queue.clear()
    world.tick(60, deliver=False)
    for batch in repeated + world.queue + world.queue:
        dispatch(world.services, batch)
    world.queue.clear()
    assert world.run(creation.rollout.id).status is RolloutStatus.COMPLETED
    assert all(len(device.started) == 1 for device in world.hub.devices.values())


def test_two_workers_with_the_same_batch_ask_a_device_once() -> None:
    """The second worker claims between the first one's reading and its claim."""
    number = STARTED_AT_ONCE_AT_MOST + 1
    world = World({f"device-{n}": VirtualDevice(tutorial_only=True) for n in range(number)})
    world.create()
    world.tick(deliver=False)
    batch = world.queue[0]
    save = world.store.save_updates
    raced: list[bool] = []

    def race(rollout_id: str, updates: Any) -> Any:
        if not raced:
            raced.append(True)
            dispatch(world.services, batch)
        return save(rollout_id, updates)

    world.store.save_updates = race  # type: ignore[method-assign]
    dispatch(world.services, batch)
    for assignment in batch.assignments:
        assert len(world.hub.devices[assignment.device_id].started) == 1


def test_two_ticks_at_once_do_what_one_does() -> None:
    number = STARTED_AT_ONCE_AT_MOST + 1
    world = World({f"device-{n}": VirtualDevice() for n in range(number)})
    creation = world.create()
    while not world.rollout(creation.rollout.id).status.ended:
        world.tick(deliver=False)
        world.tick(0)
    assert world.rollout(creation.rollout.id).status is RolloutStatus.COMPLETED
    assert all(len(device.started) == 1 for device in world.hub.devices.values())


def test_a_hung_device_is_tried_as_often_as_the_strategy_says() -> None:
    device = VirtualDevice(hangs=True, tutorial_only=True)
    world = World({"a": device})
    creation = world.create(Strategy(timeout=timedelta(seconds=60), retry=Retry(attempts=3)))
    assert world.run(creation.rollout.id).status is RolloutStatus.FAILED
    assert [attempt for _, attempt in device.started] == [1, 2, 3]


# -- idempotency -----------------------------------------------------------------------------


def test_the_same_key_and_body_give_the_first_rollout() -> None:
    device = VirtualDevice()
    world = World({"a": device})
    first = world.create(key="build-1")
    again = world.create(key="build-1")
    assert (first.is_new, again.is_new) == (True, False)
    assert again.rollout.id == first.rollout.id
    assert [update.device_id for update in again.updates] == ["a"]
    assert len(device.started) == 1


def test_the_same_key_with_another_body_is_a_conflict() -> None:
    world = World({"a": VirtualDevice(), "b": VirtualDevice()})
    create(world.services, world.request(None, "a"), "build-1")
    with pytest.raises(ConflictError):
        create(world.services, world.request(None, "b"), "build-1")


def test_a_key_whose_request_died_can_be_used_again_after_its_lease() -> None:
    world = World({"a": VirtualDevice()})
    dying: Any = Fragile(world.store, at=3, after=False)  # after the key was written
    with pytest.raises(CrashError):
        create(replace(world.services, store=dying), world.request(), "build-1")
    with pytest.raises(InProgressError):
        world.create(key="build-1")
    world.now += KEY_LEASE
    assert world.create(key="build-1").is_new
