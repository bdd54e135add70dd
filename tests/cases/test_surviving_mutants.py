"""Kill five broken lines that no other test notices (cases F).

M08: `give_up` fails devices under way. M11: an idempotency key is released although the rollout may
exist. M16: a due rollback's ID is chosen anew after a crash. M18: a device lock ends as soon as its
device is queued. M04: an expired lease of repeats comes back as a lease of starts.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.errors import FleetRolloutError, StorageUnavailableError
from functions.rollout_store.ports.device_locks import DeviceLock
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.dispatch import Lease
from functions.rollouts.model.strategy import FailureGate, OnBreach, Strategy
from functions.rollouts.rollout.starts import lease_batches
from functions.use_cases.advance import advance
from functions.use_cases.create import create
from functions.use_cases.device_locks import lock_device
from functions.use_cases.dispatch import give_up
from simulator.simulated_fleet.shares import Fault
from tests.cases.steps import FACTORY
from tests.functions.builders import at, change, make_rollout, make_wave
from tests.functions.use_cases.world import World, device, devices


def test_a_poison_message_leaves_devices_under_way_alone() -> None:  # M08
    world = World(devices(20))
    rollout_id = create(world.services, world.request(strategy=Strategy()), None).rollout.id
    (batch,) = world.advance()
    world.dispatch(batch)
    snapshot = world.stores.rollouts.get(rollout_id)
    assert snapshot is not None
    again = Lease(number=99, block=0, devices=batch.devices, until=world.now + timedelta(hours=1))
    world.stores.rollouts.save(snapshot, change(snapshot.rollout, leases=(again,)))
    give_up(world.services, replace(batch, lease=99), "five attempts")
    assert {item.state for item in world.updates(rollout_id)} == {DeviceState.ACCEPTED}


def test_a_write_whose_outcome_is_unknown_keeps_its_idempotency_key() -> None:  # M11
    world = World([device("a")])
    store: Any = world.stores.rollouts
    add = store.add

    def landing(*arguments: Any) -> Any:
        add(*arguments)
        raise StorageUnavailableError("The response was lost.")

    store.add = landing
    with pytest.raises(FleetRolloutError):
        world.create(key="build-1")
    store.add = add
    again = world.create(key="build-1")
    assert not again.is_new
    assert len(world.stores.rollouts.list_rollouts(None, 10, None).items) == 1


def test_a_crash_after_the_rollback_of_a_breach_is_stored_creates_one_rollback() -> None:  # M16
    world = World(devices(20))
    world.stores.catalogue.save(FACTORY)
    for number in range(5):
        world.hub.devices[f"d-{number:03}"].fault = Fault.FAILING
    strategy = Strategy(failure_gate=FailureGate(on_breach=OnBreach.ROLLBACK))
    rollout_id = create(world.services, world.request(strategy=strategy), None).rollout.id
    store: Any = world.stores.rollouts
    add = store.add

    def dying(rollout: Any, *more: Any) -> Any:
        add(rollout, *more)
        raise StorageUnavailableError("The process died right after the write.")

    store.add = dying
    for _ in range(30):
        world.tick()
    store.add = add
    world.ticks(30)
    found = world.stores.rollouts.list_rollouts(None, 100, None).items
    assert len([item for item in found if item.definition.rollback_of == rollout_id]) == 1


def test_a_device_lock_lasts_while_its_device_is_queued() -> None:  # M18
    world = World(devices(20, tutorial_only=True))
    first = create(world.services, world.request(strategy=Strategy()), None).rollout.id
    advance(world.services)
    world.stores.locks.add("d-000", DeviceLock(rollout_id=first, taken_at=world.now))
    assert lock_device(world.stores, "another", "d-000", world.now) == first


def test_an_expired_lease_of_repeats_comes_back_as_repeats() -> None:  # M04
    lost = Lease(number=0, block=0, devices=DeviceSet.of([0]), until=at(60), repeat=True)
    rollout = make_rollout(make_wave(3, leased=3), leases=(lost,), lease_count=1)
    changed, made = lease_batches(rollout, at(60), 10)
    assert [(item.devices, item.repeat) for item in made] == [(DeviceSet.of([0]), True)]
    assert not changed.dispatch.ready
