"""The use cases together, on a virtual clock: what a device and a caller live through."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.errors import ConflictError, InProgressError, InvalidError, StorageUnavailableError
from functions.rollouts.model import (
    DeviceState,
    Offline,
    OfflinePolicy,
    Retry,
    RolloutStatus,
    Strategy,
)
from functions.use_cases.advance import HANDED_OUT_AT_MOST, READ_ONE_BY_ONE_AT_MOST
from functions.use_cases.create import STARTED_AT_ONCE_AT_MOST, create
from functions.use_cases.dispatch import dispatch
from functions.use_cases.idempotency import KEY_LEASE
from tests.functions.fragile import CrashError, Fragile
from tests.functions.use_cases.world import World
from tests.functions.virtual_hub import VirtualDevice


def patched(world: World) -> Any:
    """The world's store, for methods to be put into."""
    return world.store


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
    assert world.store.open_rollout_ids() == []
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
        world.tick(10)
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

    patched(world).save_updates = race
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


def test_a_device_that_knows_only_the_tutorial_is_updated_by_one_rollout_at_a_time() -> None:
    device = VirtualDevice(tutorial_only=True)
    world = World({"a": device})
    first, second = world.create().rollout, world.create().rollout
    waiting = world.update(second.id, "a")
    assert waiting.state is DeviceState.QUEUED
    assert first.id in waiting.explanation
    assert world.run(first.id).status is RolloutStatus.COMPLETED
    assert world.update(second.id, "a").state is not DeviceState.COMPLETED
    assert world.run(second.id).status is RolloutStatus.COMPLETED
    assert [rollout_id for rollout_id, _ in device.started] == [first.id, second.id]
    assert device.overlaps == 0


def test_a_doubtful_tutorial_device_is_never_asked_twice_however_the_clock_falls() -> None:
    """Time goes on between a decision and the next: both must speak of the same moment."""
    for offset in range(60):
        device = VirtualDevice(tutorial_only=True, lose_answers=1, stage_seconds=200)
        world = World({"a": device})
        world.create(Strategy(timeout=timedelta(minutes=20)))
        world.now += timedelta(seconds=29.97, milliseconds=offset)
        for _ in range(4):
            world.tick(0)
        assert len(device.started) == 1


def test_a_device_that_was_away_when_its_answer_was_lost_is_not_given_up() -> None:
    device = VirtualDevice(lose_requests=1)
    world = World({"a": device})
    creation = world.create(Strategy(timeout=timedelta(minutes=5)))
    device.online = False
    for _ in range(200):
        world.tick()
    assert world.update(creation.rollout.id, "a").in_doubt
    device.online = True
    assert world.run(creation.rollout.id).status is RolloutStatus.COMPLETED
    assert len(device.started) == 1


def test_a_device_whose_twin_cannot_be_read_does_not_hold_up_the_others() -> None:
    world = World({"a": VirtualDevice(), "b": VirtualDevice()})
    creation = world.create()
    world.hub.unreadable = {"a"}
    for _ in range(10):
        world.tick()
    assert world.update(creation.rollout.id, "b").state is DeviceState.COMPLETED
    assert world.update(creation.rollout.id, "a").state is DeviceState.ACCEPTED
    world.hub.unreadable = set()
    assert world.run(creation.rollout.id).status is RolloutStatus.COMPLETED


def test_queries_that_lag_delay_nothing_for_good_and_time_out_nobody() -> None:
    """More devices than are read one by one: time-outs are decided on fresh twins alone."""
    number = READ_ONE_BY_ONE_AT_MOST + 5
    world = World({f"device-{n:02}": VirtualDevice(stage_seconds=80) for n in range(number)})
    world.hub.query_lag = timedelta(minutes=30)
    creation = world.create(Strategy(timeout=timedelta(seconds=300)))
    assert world.run(creation.rollout.id).status is RolloutStatus.COMPLETED
    assert all(len(device.started) == 1 for device in world.hub.devices.values())


def test_a_tick_hands_out_no_more_than_it_may_and_each_device_once() -> None:
    number = HANDED_OUT_AT_MOST + 30
    world = World({f"device-{n:03}": VirtualDevice() for n in range(number)})
    world.create()
    world.tick(deliver=False)
    assert sum(len(batch.assignments) for batch in world.queue) == HANDED_OUT_AT_MOST
    world.tick(deliver=False)
    names = [item.device_id for batch in world.queue for item in batch.assignments]
    assert len(names) == len(set(names)) == number


def test_a_device_that_reported_meanwhile_is_not_asked_again() -> None:
    """Its answer was lost, its repeat is in the queue, and then its first report arrives."""
    device = VirtualDevice(lose_answers=1, stage_seconds=45)
    world = World({"a": device})
    creation = world.create()
    world.tick(40, deliver=False)
    assert world.queue
    world.now += timedelta(seconds=10)
    device.catch_up(world.now)
    dispatch(world.services, world.queue.pop())
    assert world.update(creation.rollout.id, "a").state is DeviceState.DOWNLOADING
    assert world.update(creation.rollout.id, "a").claims == 1


def test_a_rollout_does_not_end_on_a_tick_that_lost_a_race() -> None:
    world = World({"a": VirtualDevice()})
    creation = world.create()
    save = world.store.save_updates

    def lose(_: str, updates: Any) -> Any:
        return [None] * len(updates)

    patched(world).save_updates = lose
    for _ in range(5):
        world.tick()
    assert not world.rollout(creation.rollout.id).status.ended
    patched(world).save_updates = save
    assert world.run(creation.rollout.id).status is RolloutStatus.COMPLETED


def test_an_outcome_that_cannot_be_stored_costs_no_other_device_its_own() -> None:
    world = World({"a": VirtualDevice(), "b": VirtualDevice()})
    save = world.store.save_updates

    def fail_for_a(rollout_id: str, updates: Any) -> Any:
        if any(item.record.device_id == "a" for item in updates):
            raise StorageUnavailableError("not this one")
        return save(rollout_id, updates)

    patched(world).save_updates = fail_for_a
    creation = world.create()
    assert world.update(creation.rollout.id, "b").state is DeviceState.ACCEPTED
    patched(world).save_updates = save
    assert world.run(creation.rollout.id).status is RolloutStatus.COMPLETED


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


def test_a_request_that_failed_before_it_stored_a_rollout_frees_its_key() -> None:
    world = World({"a": VirtualDevice()})
    add = world.store.add_updates

    def fail(_: str, __: Any) -> Any:
        raise StorageUnavailableError("down")

    patched(world).add_updates = fail
    with pytest.raises(StorageUnavailableError):
        world.create(key="build-1")
    patched(world).add_updates = add
    assert world.create(key="build-1").is_new


def test_a_request_so_slow_that_its_key_was_taken_over_stores_no_rollout() -> None:
    device = VirtualDevice()
    world = World({"a": device})
    add = world.store.add_updates

    def slow(rollout_id: str, updates: Any) -> Any:
        patched(world).add_updates = add
        world.now += KEY_LEASE
        assert world.create(key="build-1").is_new
        return add(rollout_id, updates)

    patched(world).add_updates = slow
    with pytest.raises(InProgressError):
        world.create(key="build-1")
    assert len(world.store.rollouts(None, 10, None).items) == 1
    assert len(device.started) == 1
    assert not world.create(key="build-1").is_new
