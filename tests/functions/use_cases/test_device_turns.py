"""Devices that know only the tutorial's contract, and two rollouts that want them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.rollout_store.port import Hold
from functions.rollouts.engine import CLAIM_LEASE
from functions.rollouts.model import DeviceState, RolloutStatus, Strategy
from functions.use_cases.create import create
from functions.use_cases.device_turns import taken_by_another
from tests.functions.builders import make_rollout
from tests.functions.fragile import CrashError, Fragile
from tests.functions.use_cases.world import World
from tests.functions.virtual_hub import VirtualDevice


def make_world(**device: Any) -> tuple[World, VirtualDevice]:
    only = VirtualDevice(tutorial_only=True, **device)
    return World({"a": only}), only


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_of_the_second_request_never_lends_it_the_first_ones_success(after: bool) -> None:
    crashes = 0
    for at in range(1, 15):
        world, device = make_world(stage_seconds=60)
        first = world.create().rollout
        weak: Any = Fragile(world.store, at, after=after)
        try:
            create(replace(world.services, store=weak), world.request(), "build-2")
        except CrashError:
            crashes += 1
        world.now += timedelta(minutes=3)
        assert world.run(first.id).status is RolloutStatus.COMPLETED
        second = world.create(key="build-2").rollout
        assert world.run(second.id).status is RolloutStatus.COMPLETED
        assert [rollout_id for rollout_id, _ in device.started] == [first.id, second.id]
        assert device.overlaps == 0
    assert crashes > 3


def test_an_older_rollout_that_waited_does_not_break_into_a_newer_one() -> None:
    """The newer one was sent, and its answer lost, when the older one's device came back."""
    world, device = make_world(online=False, stage_seconds=60)
    older = world.create().rollout
    world.now += CLAIM_LEASE
    device.online, device.lose_answers = True, 1
    newer = world.create(Strategy(timeout=timedelta(minutes=30))).rollout
    assert world.update(newer.id, "a").in_doubt
    assert world.run(newer.id).status is RolloutStatus.COMPLETED
    assert world.run(older.id).status is RolloutStatus.COMPLETED
    assert [rollout_id for rollout_id, _ in device.started] == [newer.id, older.id]
    assert device.overlaps == 0


def test_many_waiting_rollouts_do_not_hide_the_one_that_runs() -> None:
    world, device = make_world(stage_seconds=100)
    rollouts = [world.create().rollout for _ in range(12)]
    for rollout in rollouts:
        assert world.run(rollout.id, ticks=4000).status is RolloutStatus.COMPLETED
    assert len(device.started) == 12
    assert device.overlaps == 0


def test_a_hold_whose_rollout_never_came_to_be_lapses() -> None:
    world, _ = make_world()
    ghost = Hold(rollout_id="ghost", taken_at=world.now)
    world.store.add_hold("a", ghost)
    engine = world.services.engine(make_rollout("a"))
    assert taken_by_another(world.store, engine, "a") == "ghost"
    later = replace(engine, now=ghost.taken_at + CLAIM_LEASE)
    assert taken_by_another(world.store, later, "a") is None
    assert taken_by_another(world.store, later, "a") is None


def test_a_device_that_knows_rollouts_is_asked_and_says_itself_that_it_is_busy() -> None:
    device = VirtualDevice(stage_seconds=60)
    world = World({"a": device})
    first, second = world.create().rollout, world.create()
    assert second.updates[0].state is DeviceState.QUEUED
    assert second.updates[0].method is not None
    assert world.run(first.id).status is RolloutStatus.COMPLETED
    assert world.run(second.rollout.id).status is RolloutStatus.COMPLETED
