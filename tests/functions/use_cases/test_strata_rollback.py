"""Test rollbacks of strata that are repeated, raced, interrupted or impossible."""

from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from functions.errors import ConflictError, LostRaceError
from functions.rollouts.model.rollback import RollbackDue, RolledBack
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.strategy import percent
from functions.use_cases import stratum_commands
from functions.use_cases.create import create
from simulator.simulated_fleet.shares import Fault
from tests.functions.fragile import CrashError, Fragile, before
from tests.functions.use_cases.test_frozen_strata import ADA, fleet, make_strategy
from tests.functions.use_cases.world import FIRMWARE, World

OLD = replace(FIRMWARE, version="1.0.0")


def make_frozen() -> tuple[World, str]:
    """Run a rollout to stratum b, which is frozen after its first device completed, and c.

    An earlier rollout gives a way back.
    """
    world = World(fleet(20, "b", "c"))
    world.until_over(create(world.services, world.request(firmware=OLD), None).rollout.id)
    strategy = make_strategy(success_share=percent(50))
    rollout_id = create(world.services, world.request(strategy=strategy), None).rollout.id
    in_start_order = [item.device_id for item in world.updates(rollout_id)]
    _completes, *others = [name for name in in_start_order if name[0] == "b"]
    for name in others:
        world.hub.devices[name].fault = Fault.FAILING
    world.ticks(60)
    assert freeze_of(world.rollout(rollout_id)) is None
    return world, rollout_id


def freeze_of(rollout: Rollout) -> Any:
    """Return what is known of the rollback of stratum b."""
    frozen = rollout.stratum_gates[rollout.strata.index("b")].frozen
    assert frozen is not None
    return frozen.rollback


def roll_back(world: World, rollout_id: str, stores: Any = None) -> str:
    services = replace(world.services, stores=stores) if stores else world.services
    return stratum_commands.roll_back_strata(services, rollout_id, ADA, ["b"]).rollout.id


def rollbacks(world: World, rollout_id: str) -> list[str]:
    listed = world.stores.rollouts.list_rollouts(None, 100, None).items
    return [item.id for item in listed if item.definition.rollback_of == rollout_id]


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_anywhere_in_the_rollback_of_a_stratum_creates_one(after: bool) -> None:
    for at in count(1 + after, 2):
        world, rollout_id = make_frozen()
        try:
            roll_back(world, rollout_id, Fragile(world.stores, at, after=after))
        except CrashError:
            pass
        else:
            break
        world.ticks(2)
        if not rollbacks(world, rollout_id):  # it crashed before the decision was stored
            roll_back(world, rollout_id)
        (made,) = rollbacks(world, rollout_id)
        assert freeze_of(world.rollout(rollout_id)) == RolledBack(made), at
        assert {item.device_id[0] for item in world.updates(made)} == {"b"}
    assert at > 5


def test_a_stratum_is_rolled_back_again_only_after_its_rollback_has_ended() -> None:
    world, rollout_id = make_frozen()
    first = roll_back(world, rollout_id)
    with pytest.raises(ConflictError, match=f"already being rolled back by rollout {first}"):
        roll_back(world, rollout_id)
    world.until_over(first)
    with pytest.raises(ConflictError) as nothing_left:
        roll_back(world, rollout_id)
    assert "already being rolled back" not in str(nothing_left.value)
    assert rollbacks(world, rollout_id) == [first]


def test_of_two_requests_for_one_stratum_one_creates_the_rollback() -> None:
    world, rollout_id = make_frozen()
    made: list[str] = []
    with (
        before(world.stores.rollouts, "save", lambda: made.append(roll_back(world, rollout_id))),
        pytest.raises((LostRaceError, ConflictError)),
    ):
        roll_back(world, rollout_id)
    assert rollbacks(world, rollout_id) == made


def test_a_decided_rollback_that_is_impossible_is_given_up_with_the_reason() -> None:
    for at in count(1):  # crash once the decision is stored
        world, rollout_id = make_frozen()
        with pytest.raises(CrashError):
            roll_back(world, rollout_id, Fragile(world.stores, at, after=True))
        if isinstance(freeze_of(world.rollout(rollout_id)), RollbackDue):
            break
    moved_on = [name for name in world.hub.devices if name.startswith("b")]
    later = world.request(*moved_on, firmware=replace(FIRMWARE, version="3.0.0"))
    create(world.services, later, None)
    world.ticks(2)
    rollout = world.rollout(rollout_id)
    assert freeze_of(rollout) is None
    assert "rollbackImpossible" in [item.action for item in rollout.audit.events]
    assert rollbacks(world, rollout_id) == []
