"""Test which due devices a tick reads, and in which way."""

from dataclasses import replace
from typing import Any

import pytest

from functions.rollout_store.ports.device_locks import DeviceLock
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.device_update import DeviceUpdate
from functions.use_cases.observe import (
    NOTHING,
    Observations,
    apply_observations,
    drop_taken_over,
    observe_due,
)
from functions.use_cases.tick_budget import TickBudget
from tests.functions.builders import at, make_moment, make_twin, make_update, speaking_twin
from tests.functions.use_cases.world import World, devices

MOMENT = make_moment(100)


def under_way(number: int, seconds: float = 50) -> DeviceUpdate:
    """Return a device update that is observed `seconds` after noon."""
    return make_update(f"d-{number:03}", state=DeviceState.ACCEPTED, observe_at=at(seconds))


def waiting(number: int) -> DeviceUpdate:
    """Return a device update that waits until its device is connected."""
    return make_update(f"d-{number:03}", not_before=at(50), waiting_since=at(0), offline=True)


def budget(**values: Any) -> TickBudget:
    known: dict[str, Any] = {
        "starts": 0.0,
        "twin_reads": 99.0,
        "queries": 9.0,
        "messages_left": 999.0,
    }
    return TickBudget(**{**known, **values})


def ids(*numbers: int) -> set[str]:
    return {f"d-{number:03}" for number in numbers}


@pytest.fixture
def world() -> World:
    return World(devices(250), still=True)


@pytest.mark.parametrize(
    ("count", "reads", "queries"), [(9, 9, 0), (10, 0, 1), (109, 9, 1), (110, 0, 2)]
)
def test_ten_devices_or_more_are_queried_and_fewer_are_read_one_by_one(
    world: World, count: int, reads: int, queries: int
) -> None:
    updates = [under_way(number) for number in range(count)]
    spent = budget(reserved=999.0)  # for these devices
    found = observe_due(world.hub, MOMENT, updates, spent)
    assert found.twins.keys() == ids(*range(count))
    assert spent.messages_left == 999 - count
    assert len(found.fresh) == world.hub.operations.twin_reads == reads
    assert world.hub.operations.queries == queries
    assert found.find_read(updates) == list(range(count))


def test_devices_that_are_due_longest_are_read_first(world: World) -> None:
    updates = [under_way(number, 90 - number) for number in range(9)]
    found = observe_due(world.hub, MOMENT, updates, budget(twin_reads=3))
    assert found.twins.keys() == found.fresh == ids(6, 7, 8)


def test_devices_that_have_reported_a_failure_are_read_before_those_that_are_due(
    world: World,
) -> None:
    noticed = frozenset({"d-005", "d-007"})
    updates = [under_way(number, 500 if number == 5 else 50) for number in range(8)]
    found = observe_due(world.hub, MOMENT, updates, budget(twin_reads=3), noticed)
    assert found.twins.keys() == ids(5, 7, 0)
    assert found.noticed == noticed


def test_a_device_that_no_query_finds_is_read_alone(world: World) -> None:
    del world.hub.devices["d-003"]
    world.hub.disabled.add("d-011")
    updates = [*map(under_way, range(10)), *map(waiting, range(10, 13))]
    found = observe_due(world.hub, MOMENT, updates, budget())
    assert found.fresh == ids(3, 11)
    assert found.twins["d-003"] is None
    assert found.twins.keys() == ids(*range(10), 11)
    assert found.connected == {"d-010": True, "d-012": True}
    assert world.hub.operations.queries == 2


def test_connections_are_checked_as_far_as_queries_are_left(world: World) -> None:
    updates = [waiting(number) for number in range(150)]
    found = observe_due(world.hub, MOMENT, updates, budget(queries=1))
    assert found.connected.keys() == ids(*range(100))
    assert (found.twins, found.fresh) == ({}, frozenset())
    assert found.find_read(updates) == list(range(100))


def test_no_call_is_made_for_no_device_or_without_messages(world: World) -> None:
    hub: Any = world.hub
    hub.query_twins = None
    hub.query_connections = None
    assert observe_due(hub, MOMENT, [under_way(0)], budget()).fresh == ids(0)
    hub.read_twins = None
    assert observe_due(hub, MOMENT, [under_way(0)], budget(messages_left=0.0)) is NOTHING
    later = [under_way(0, 101), make_update("d-001")]
    assert observe_due(hub, MOMENT, later, budget()) is NOTHING
    world = World(devices(10), still=True)
    hub = world.hub
    hub.read_twins = None
    assert len(observe_due(hub, MOMENT, map(under_way, range(10)), budget()).twins) == 10


@pytest.mark.parametrize(
    ("observations", "indexes"),
    [
        (NOTHING, []),
        (Observations({"d-001": None}, frozenset(), {}), [1]),
        (Observations({}, frozenset(), {"d-002": False}), [2]),
        (Observations({"d-001": None}, frozenset(), {"d-000": True}), [0, 1]),
    ],
)
def test_the_updates_of_devices_of_which_anything_was_read_are_found(
    observations: Observations, indexes: list[int]
) -> None:
    assert observations.find_read([under_way(number) for number in range(3)]) == indexes


@pytest.mark.parametrize(("connected", "waits"), [(True, (False, False)), (False, (True, True))])
def test_a_device_waits_as_long_as_its_connection_or_its_twin_says(
    connected: bool, waits: tuple[bool, bool]
) -> None:
    update = waiting(0)._replace(delays=3)
    twin = make_twin(device_id="d-000", connected=connected)
    for observations in (
        Observations({}, frozenset(), {"d-000": connected}),
        Observations({"d-000": twin}, frozenset({"d-000"}), {}),
    ):
        after = apply_observations(MOMENT, update, observations)
        assert (after.offline, after.seen_offline) == waits


def test_twins_of_failed_devices_that_another_rollout_has_taken_over_are_dropped(
    world: World,
) -> None:
    own, other = MOMENT.rollout.id, "98000000000000-0123456789ab"
    silent, named = make_twin(), speaking_twin("completed", 10)
    failed = [make_update(f"d-{number:03}", state=DeviceState.FAILED) for number in range(1, 7)]
    twins = {"d-000": silent, "d-001": None, "d-002": named, "d-004": silent, "d-006": silent}
    twins |= {"d-003": silent}  # d-005 was not read
    holders = {**dict.fromkeys(ids(0, 1, 2, 5, 6), other), "d-003": own}
    for device_id, holder in holders.items():
        world.stores.locks.add(device_id, DeviceLock(rollout_id=holder, taken_at=at(0)))
    before = Observations(twins, frozenset(), {})
    updates = [under_way(0), *failed]
    after = drop_taken_over(world.stores.locks, MOMENT, updates, before)
    assert after == replace(before, twins=twins | {"d-006": None})
    assert drop_taken_over(world.stores.locks, MOMENT, updates[:-1], before) is before
    locks: Any = None
    assert drop_taken_over(locks, MOMENT, failed, NOTHING) is NOTHING
