"""Test devices that know only the tutorial's contract and are in two rollouts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.dispatch_queue.port import Batch
from functions.rollout_store.ports.device_locks import DeviceLock
from functions.rollout_store.ports.records import Stored
from functions.rollouts.device.invoking import CLAIM_DURATION
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_twin import DeviceTwin
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.strategy import Retry, Strategy
from functions.use_cases.create import create
from functions.use_cases.device_locks import MAX_UNCHECKED, lock_device
from simulator.rehearsal.virtual_device import VirtualDevice
from tests.cases.steps import require
from tests.functions.fragile import CrashError, Fragile, before
from tests.functions.use_cases.world import World, device, devices


def make_world(**kind: Any) -> tuple[World, VirtualDevice]:
    only = device("a", tutorial_only=True, **kind)
    return World([only]), only


@pytest.mark.parametrize("after", [False, True])
def test_a_crashed_second_request_does_not_take_over_the_success_of_the_first(after: bool) -> None:
    crashes = 0
    for at in range(1, 15):
        world, only = make_world(stage=60)
        first = world.create().rollout
        weak: Any = Fragile(world.stores, at, after=after)
        try:
            create(replace(world.services, stores=weak), world.request(), "build-2")
        except CrashError:
            crashes += 1
        world.pass_time(minutes=3)
        assert world.until_over(first.id).status is RolloutStatus.COMPLETED
        second = world.create(key="build-2").rollout
        assert world.until_over(second.id).status is RolloutStatus.COMPLETED
        assert [rollout_id for rollout_id, _ in only.started] == [first.id, second.id]
        assert only.overlaps == 0
    assert crashes > 3


def test_an_older_waiting_rollout_does_not_disturb_the_update_of_a_newer_one() -> None:
    """Reconnect the device after the newer rollout's method, whose response was lost."""
    world, only = make_world(online=False, stage=60)
    older = world.create().rollout
    world.clock.now += CLAIM_DURATION
    world.hub.reconnect("a")
    only.lose_responses = 1
    newer = world.create(Strategy(timeout=timedelta(minutes=30))).rollout
    assert world.update(newer.id).in_doubt
    assert world.until_over(newer.id).status is RolloutStatus.COMPLETED
    assert world.until_over(older.id).counts.skipped == 1
    assert [rollout_id for rollout_id, _ in only.started] == [newer.id]
    assert only.overlaps == 0


def test_many_waiting_rollouts_do_not_hide_the_running_one() -> None:
    """Queue twelve rollouts behind each other: the first has begun, and the last one wins."""
    world, only = make_world(stage=100)
    rollouts = [world.create().rollout for _ in range(12)]
    for rollout in rollouts:
        assert world.until_over(rollout.id, ticks=4000).is_over
    assert [rollout_id for rollout_id, _ in only.started] == [rollouts[0].id, rollouts[-1].id]
    assert only.overlaps == 0


def test_a_device_is_updated_by_one_rollout_at_a_time_and_the_other_explains_it() -> None:
    world, only = make_world()
    first, second = world.create().rollout, world.create().rollout
    waiting = world.update(second.id)
    assert waiting.state is DeviceState.QUEUED
    assert first.id in (waiting.explanation or "")
    assert world.until_over(first.id).status is RolloutStatus.COMPLETED
    assert world.until_over(second.id).status is RolloutStatus.COMPLETED
    assert [rollout_id for rollout_id, _ in only.started] == [first.id, second.id]
    assert only.overlaps == 0


def test_a_lock_whose_rollout_was_never_stored_expires() -> None:
    world, _ = make_world()
    ghost = DeviceLock(rollout_id="ghost", taken_at=world.now)
    world.stores.locks.add("a", ghost)
    assert lock_device(world.stores, "mine", "a", world.now) == "ghost"
    later = ghost.taken_at + CLAIM_DURATION
    assert lock_device(world.stores, "mine", "a", later) is None
    assert lock_device(world.stores, "mine", "a", later) is None


@pytest.mark.parametrize("faster", ["another", "mine"])
def test_the_first_of_two_rollouts_locks_the_device(faster: str) -> None:
    world, _ = make_world()
    locks: Any = world.stores.locks
    add_device_lock = locks.add

    def racing(*arguments: Any) -> None:
        add_device_lock("a", DeviceLock(rollout_id=faster, taken_at=world.now))
        add_device_lock(*arguments)

    locks.add = racing
    other = lock_device(world.stores, "mine", "a", world.now)
    assert other == ("another" if faster == "another" else None)


def test_a_device_that_knows_rollouts_is_invoked_and_responds_that_it_is_busy() -> None:
    world = World([device("a", stage=60)])
    first, second = world.create().rollout, world.create()
    assert second.updates[0].state is DeviceState.QUEUED
    assert "busy" in (second.updates[0].explanation or "")
    assert world.until_over(first.id).status is RolloutStatus.COMPLETED
    assert world.until_over(second.rollout.id).status is RolloutStatus.COMPLETED


def test_a_rollout_created_during_the_reads_of_another_updates_no_device_beside_it() -> None:
    """Create another rollout while the twins of the first one are read, and send it first."""
    world = World(devices(20, tutorial_only=True, stage=60))
    first = create(world.services, world.request(strategy=Strategy()), None).rollout.id
    (batch,) = world.advance()
    hub: Any = world.hub
    store: Any = world.stores.rollouts
    read_twins, save = hub.read_twins, store.save
    others: list[Batch] = []
    done: list[str] = []

    def slow(ids: Sequence[str]) -> Mapping[str, DeviceTwin | None]:
        found: Mapping[str, DeviceTwin | None] = read_twins(ids)
        if "slow" not in done:
            done.append("slow")
            world.pass_time(seconds=91)  # a hundred reads, eight at a time, of seven seconds each
            request = world.request(strategy=Strategy(), body_hash="other")
            create(world.services, request, None)
            others.extend(item for item in world.advance() if item.rollout_id != first)
        return found

    def between(*arguments: Any) -> Any:
        """Send the second rollout's batch right before the first one's claims are stored."""
        if others:
            done.append("between")
            world.dispatch(others.pop())
        return save(*arguments)

    hub.read_twins, store.save = slow, between
    world.dispatch(batch)
    require(batch.rollout_id == first, "the first batch is the first rollout's")
    require(done == ["slow", "between"], "the reads were slow, and the other batch was sent")
    overlaps = sum(item.overlaps for item in world.hub.devices.values())
    assert overlaps == 0, f"{overlaps} devices began a second update beside the first"


def dispatch_slowly(world: World, monkeypatch: pytest.MonkeyPatch, **length: float) -> Batch:
    """Lease the devices of a new rollout. Return its batch, whose twins take `length` to read."""
    create(world.services, world.request(strategy=Strategy()), None)
    (batch,) = world.advance()
    read_twins = world.hub.read_twins

    def slow(ids: Sequence[str]) -> Mapping[str, DeviceTwin | None]:
        world.pass_time(**length)
        return read_twins(ids)

    monkeypatch.setattr(world.hub, "read_twins", slow)
    return batch


def test_a_lock_counts_from_when_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(devices(11, tutorial_only=True))
    batch = dispatch_slowly(world, monkeypatch, seconds=55)
    begun = world.now
    world.dispatch(batch)
    lock = world.stores.locks.get("d-000")
    assert lock is not None
    assert lock.record.taken_at >= begun + timedelta(seconds=55)


def test_a_lock_that_ended_before_its_claim_was_stored_is_not_used() -> None:
    """Let another rollout lock a device while the claim is written slowly."""
    world = World(devices(11, tutorial_only=True))
    rollout_id = create(world.services, world.request(strategy=Strategy()), None).rollout.id
    (batch,) = world.advance()
    store: Any = world.stores.rollouts
    save = store.save

    def slow(*arguments: Any) -> Any:
        world.pass_time(seconds=91)
        assert lock_device(world.stores, "another", "d-003", world.now) is None
        store.save = save
        return save(*arguments)

    store.save = slow
    world.dispatch(batch)
    waiting = world.update(rollout_id, "d-003")
    assert waiting.state is DeviceState.QUEUED
    assert "busy with rollout another" in (waiting.explanation or "")
    assert world.hub.devices["d-003"].started == []
    assert world.hub.started == 10


def test_a_lock_that_another_dispatcher_takes_during_the_check_is_lost() -> None:
    """The renewal and the take-over are writes of one row, so only one of them succeeds."""
    world = World(devices(11, tutorial_only=True))
    create(world.services, world.request(strategy=Strategy()), None)
    (batch,) = world.advance()
    store: Any = world.stores.rollouts
    locks: Any = world.stores.locks
    save_rollout, save_lock = store.save, locks.save

    def racing(device_id: str, stored: Any) -> Any:
        locks.save = save_lock
        current = locks.get(device_id)
        assert current is not None
        save_lock(
            device_id, replace(current, record=DeviceLock(rollout_id="another", taken_at=world.now))
        )
        return save_lock(device_id, stored)

    def slow(*arguments: Any) -> Any:
        world.pass_time(seconds=91)
        store.save, locks.save = save_rollout, racing
        return save_rollout(*arguments)

    store.save = slow
    world.dispatch(batch)
    assert world.hub.started == 10


def lock_for(world: World, rollout_id: str) -> DeviceLock:
    """Lock the device "a" for a rollout just now."""
    lock = DeviceLock(rollout_id=rollout_id, taken_at=world.now)
    stored = world.stores.locks.get("a")
    if stored is None:
        world.stores.locks.add("a", lock)
    else:
        world.stores.locks.save("a", Stored(lock, stored.version))
    return lock


def test_a_lock_of_a_rollout_without_the_device_has_ended() -> None:
    world = World([device("a"), device("b")])
    lock_for(world, create(world.services, world.request("b"), None).rollout.id)
    assert lock_device(world.stores, "mine", "a", world.now) is None


def test_a_lock_ends_with_the_update_of_its_device_although_its_rollout_goes_on() -> None:
    world = World([device("a", tutorial_only=True), device("b", online=False)])
    first = world.create().rollout
    while world.update(first.id, "a").state is not DeviceState.COMPLETED:
        world.tick()
    assert not world.rollout(first.id).is_over
    lock_for(world, first.id)
    assert lock_device(world.stores, "mine", "a", world.now) is None


def test_a_lock_of_a_queued_device_lasts_as_long_as_a_claim() -> None:
    world, _ = make_world(online=False)
    start_at = world.now + timedelta(days=1)
    first = create(world.services, world.request(start_at=start_at), None).rollout
    lock = lock_for(world, first.id)
    assert lock_device(world.stores, "mine", "a", world.now) == first.id
    assert lock_device(world.stores, "mine", "a", lock.taken_at + CLAIM_DURATION) is None


def test_a_lock_that_is_renewed_meanwhile_ends_by_the_same_twin() -> None:
    world, _ = make_world(stage=60)
    once = Strategy(timeout=timedelta(seconds=60), retry=Retry(attempts=1))
    first = world.create(once).rollout
    assert world.until_over(first.id).counts.failed == 1
    world.pass_time(minutes=5)
    lock_for(world, first.id)
    twin = world.hub.read_twin("a")
    assert lock_device(world.stores, "mine", "a", world.now) == first.id
    with before(world.stores.locks, "save", lambda: lock_for(world, first.id)):
        assert lock_device(world.stores, "mine", "a", world.now, twin) is None


def test_a_lock_is_checked_behind_a_device_that_needs_none() -> None:
    """Claim 30 s after the locks; another rollout has taken one of them over."""
    world = World([*devices(10), device("old", tutorial_only=True)])
    rollout_id = create(world.services, world.request(strategy=Strategy()), None).rollout.id
    (batch,) = world.advance()
    store: Any = world.stores.rollouts
    save = store.save

    def slow(*arguments: Any) -> Any:
        world.pass_time(seconds=MAX_UNCHECKED.total_seconds())
        stored = world.stores.locks.get("old")
        assert stored is not None
        other = DeviceLock(rollout_id="another", taken_at=world.now)
        world.stores.locks.save("old", replace(stored, record=other))
        store.save = save
        return save(*arguments)

    store.save = slow
    world.dispatch(batch)
    assert world.update(rollout_id, "old").state is DeviceState.QUEUED
    assert world.hub.devices["old"].started == []
    assert world.hub.started == 10
