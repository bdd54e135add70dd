"""Test how strata are named in commands, and when the queued devices of one are cancelled."""

from dataclasses import replace
from typing import Any

import pytest

from functions.errors import InvalidError
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.strategy import FailureGate, OnBreach, Strategy
from functions.rollouts.rollout.operator_commands import Caller
from functions.use_cases import commands, stratum_commands
from functions.use_cases.cancel_queued import cancel_queued_devices
from functions.use_cases.create import create
from functions.use_cases.read import get_snapshot
from tests.functions.use_cases.world import World, device

ADA = Caller("ada")
FROZEN = FailureGate(on_breach=OnBreach.FREEZE)


def start(count: int, strata: int) -> tuple[World, str]:
    """Start a rollout of devices in strata m00, m01, ..., two of them at once."""
    world = World(device(f"d-{n:03}", stratum=f"m{n % strata:02}") for n in range(count))
    strategy = Strategy(stratify_by=("tags.model",), failure_gate=FROZEN, max_in_flight=2)
    return world, create(world.services, world.request(strategy=strategy), None).rollout.id


@pytest.mark.parametrize(("count", "is_at_once"), [(100, True), (101, False)])
def test_a_stratum_is_cancelled_with_the_request_in_a_rollout_of_up_to_100_devices(
    count: int, is_at_once: bool
) -> None:
    world, rollout_id = start(count, 2)
    rollout = stratum_commands.cancel_strata(world.services, rollout_id, ADA, ["m00"])
    assert (rollout.counts.cancelled > 40) is is_at_once
    world.ticks(1)
    assert world.rollout(rollout_id).counts.cancelled > 40


@pytest.mark.parametrize(
    ("strata", "shown"),
    [
        (2, "m00, m01"),
        (10, "m00, m01, m02, m03, m04, m05, m06, m07, m08, m09"),
        (12, "m00, m01, m02, m03, m04, m05, m06, m07, m08, m09 and 2 more"),
    ],
)
def test_an_unknown_stratum_is_refused_with_ten_of_those_there_are(strata: int, shown: str) -> None:
    world, rollout_id = start(3 * strata, strata)
    with pytest.raises(InvalidError) as caught:
        stratum_commands.cancel_strata(world.services, rollout_id, ADA, ["m01", "x", "m00", "y"])
    assert [(field.pointer, field.detail) for field in caught.value.fields] == [
        (f"/strata/{index}", f"is not a stratum of the rollout; it has {shown}") for index in (1, 3)
    ]


def test_strata_have_the_indexes_of_their_names() -> None:
    world, rollout_id = start(9, 3)
    rollout = world.rollout(rollout_id)
    assert stratum_commands.find_strata(rollout, ["m02", "m00"]) == {0, 2}


def test_a_rollout_of_one_stratum_has_none_to_name() -> None:
    world, rollout_id = start(9, 1)
    with pytest.raises(InvalidError) as caught:
        stratum_commands.cancel_strata(world.services, rollout_id, ADA, ["m00"])
    assert [field.pointer for field in caught.value.fields] == ["/strata"]


def test_a_tick_searches_no_devices_to_cancel_unless_a_stratum_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, rollout_id = start(20, 2)
    world.tick()
    searched: list[str] = []
    search = world.stores.rollouts.list_blocks_with

    def record(searched_id: str, states: Any) -> Any:
        searched.append(searched_id)
        return search(searched_id, states)

    monkeypatch.setattr(world.stores.rollouts, "list_blocks_with", record)
    assert world.rollout(rollout_id).counts.queued > 0
    snapshot = get_snapshot(world.stores.rollouts, rollout_id)
    assert cancel_queued_devices(world.services, snapshot) is snapshot
    assert searched == []
    stratum_commands.cancel_strata(world.services, rollout_id, ADA, ["m00"])
    assert searched


def test_cancelled_devices_are_ready_no_more() -> None:
    world, rollout_id = start(20, 2)
    snapshot = get_snapshot(world.stores.rollouts, rollout_id)
    ready = replace(snapshot.rollout.dispatch, ready={0: DeviceSet.of([19])})
    world.stores.rollouts.save(snapshot, replace(snapshot.rollout, dispatch=ready))
    commands.cancel(world.services, rollout_id, ADA)
    world.tick()
    assert world.rollout(rollout_id).dispatch.ready == {}
