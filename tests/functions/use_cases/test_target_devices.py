"""Test how many devices of a request are found before its response, and what that costs."""

from typing import Any

import pytest

from functions.errors import HubUnavailableError, InvalidError
from functions.hub_gateway.port import ConditionError
from functions.rollouts.model.new_rollout import NewRollout
from functions.rollouts.model.strategy import Strategy
from functions.use_cases import target_devices
from tests.functions.use_cases.world import World, devices

BY_MODEL = Strategy(stratify_by=("tags.model",))


def listed(world: World, strategy: Strategy) -> NewRollout:
    return world.request(strategy=strategy)


def matching(world: World, strategy: Strategy = BY_MODEL) -> NewRollout:
    return world.request(strategy=strategy, device_ids=(), condition="tags.site = 'berlin'")


@pytest.mark.parametrize(
    ("count", "strategy", "complete", "twins", "queries"),
    [
        (10, Strategy(), True, 10, 0),
        (10, BY_MODEL, True, 10, 1),
        (11, Strategy(), True, 0, 1),
        (101, BY_MODEL, True, 0, 2),
        (1_000, Strategy(), True, 0, 10),
        (1_001, Strategy(), False, 0, 0),
    ],
)
def test_a_list_is_queried_up_to_1000_devices_and_twins_are_read_of_ten(
    count: int, strategy: Strategy, complete: bool, twins: int, queries: int
) -> None:
    world = World(devices(count, stratum="m1"))
    found = target_devices.find(world.hub, listed(world, strategy))
    assert found.device_ids == list(world.hub.devices)
    assert (found.complete, len(found.twins)) == (complete, twins)
    assert found.queries == world.hub.operations.queries == queries
    assert world.hub.operations.twin_reads == twins
    strata = {"m1"} if strategy.stratify_by else {""}
    assert {device.stratum for device in found.devices} == strata


@pytest.mark.parametrize("count", [10, 11])
def test_a_device_that_the_hub_misses_for_a_moment_is_found(count: int) -> None:
    world = World(devices(count))
    hub: Any = world.hub
    query, read = hub.query_devices, hub.read_twins
    reads: list[list[str]] = []

    def miss_one(ids: list[str], paths: Any) -> Any:
        return [item for item in query(ids, paths) if item.device_id != "d-003"]

    def miss_one_at_first(ids: list[str]) -> Any:
        reads.append(ids)
        return read(ids) | ({"d-003": None} if len(reads) == 1 else {})

    hub.query_devices, hub.read_twins = miss_one, miss_one_at_first
    found = target_devices.find(hub, listed(world, Strategy()))
    assert found.device_ids == list(hub.devices)
    assert reads == [list(hub.devices) if count == 10 else ["d-003"], ["d-003"]]
    assert (len(found.twins), found.queries) == ((10, 0) if count == 10 else (0, 1))


@pytest.mark.parametrize(("count", "calls"), [(10, 1), (11, 0)])
def test_the_hub_is_not_called_for_the_twins_of_no_device(count: int, calls: int) -> None:
    world = World(devices(count))
    hub: Any = world.hub
    read, reads = hub.read_twins, []

    def counted(ids: list[str]) -> Any:
        reads.append(ids)
        return read(ids)

    hub.read_twins = counted
    target_devices.find(hub, listed(world, Strategy()))
    assert len(reads) == calls


@pytest.mark.parametrize("count", [10, 11])
def test_a_twin_that_cannot_be_read_is_no_unknown_device(count: int) -> None:
    world = World(devices(count))
    hub: Any = world.hub
    hub.query_devices = lambda *_: []
    hub.unreadable.add("d-003")
    with pytest.raises(HubUnavailableError, match="did not return 1 twin of the target"):
        target_devices.find(hub, listed(world, Strategy()))


def test_each_unknown_device_of_a_list_is_named_with_its_index() -> None:
    world = World(devices(12))
    ids = ("ghost", *world.hub.devices, "spectre")
    with pytest.raises(InvalidError, match="does not know 2 devices") as caught:
        target_devices.find(world.hub, world.request(*ids))
    named = [(field.pointer, field.detail) for field in caught.value.fields]
    assert named == [
        ("/target/deviceIds/0", "the hub knows no device 'ghost'"),
        ("/target/deviceIds/13", "the hub knows no device 'spectre'"),
    ]


@pytest.mark.parametrize(
    ("count", "listed_count", "cursor", "twins", "queries"),
    [
        (10, 10, None, 10, 1),
        (11, 11, None, 0, 1),
        (1_000, 1_000, None, 0, 10),
        (1_150, 1_000, "1000", 0, 10),
    ],
)
def test_a_condition_is_queried_until_1000_devices_match_and_twins_are_read_of_ten(
    count: int, listed_count: int, cursor: str | None, twins: int, queries: int
) -> None:
    world = World(devices(count, stratum="m1"))
    found = target_devices.find(world.hub, matching(world))
    assert len(found.devices) == listed_count
    assert (found.complete, found.cursor) == (cursor is None, cursor)
    assert found.queries == world.hub.operations.queries == queries
    assert world.hub.operations.twin_reads == len(found.twins) == twins
    assert {device.stratum for device in found.devices} == {"m1"}


def test_a_condition_that_is_evaluated_later_costs_one_query_now() -> None:
    world = World(devices(1_150))
    found = target_devices.check_condition(world.hub, matching(world))
    assert (found.device_ids, found.complete) == ([], False)
    assert found.queries == world.hub.operations.queries == 1


@pytest.mark.parametrize("find", [target_devices.find, target_devices.check_condition])
def test_a_condition_that_the_hub_rejects_is_refused_with_its_reason(find: Any) -> None:
    world = World(devices(1))
    hub: Any = world.hub

    def refuse(*_: Any) -> Any:
        raise ConditionError("syntax error at 5")

    hub.query_matching = refuse
    with pytest.raises(InvalidError) as caught:
        find(hub, matching(world))
    (field,) = caught.value.fields
    assert (field.pointer, field.detail) == ("/target/condition", "syntax error at 5")
