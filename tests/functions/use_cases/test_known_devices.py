"""Test how many device ids a process keeps in memory."""

from collections.abc import Sequence

import pytest

from functions.rollouts.model.block import Block
from functions.rollouts.model.rollout import Rollout
from functions.use_cases import known_devices
from functions.use_cases.create import create
from functions.use_cases.known_devices import KnownDevices
from tests.functions.use_cases.world import World, devices

OTHERS = frozenset({"another-device"})


def make(world: World, *ids: str) -> tuple[Rollout, Sequence[Block]]:
    world.pass_time(seconds=1)
    rollout_id = create(world.services, world.request(*ids), None).rollout.id
    snapshot = world.stores.rollouts.get(rollout_id)
    assert snapshot is not None
    return snapshot.rollout, [world.stores.rollouts.get_blocks(snapshot, [0]).blocks[0]]


def test_the_rollouts_kept_last_stay_within_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(devices(9))
    made = [make(world, name) for name in world.hub.devices]
    monkeypatch.setattr(known_devices, "MAX_KEPT_IDS", 20)
    kept = KnownDevices()
    for rollout, blocks in made:
        kept.keep(rollout, blocks)
    known = [kept.has_none_of(rollout.id, OTHERS) for rollout, _ in made]
    assert known == [False] * 6 + [True] * 3


def test_a_rollout_that_is_kept_again_takes_no_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(devices(20))
    names = list(world.hub.devices)
    made = [make(world, names[0]), make(world, *names[1:])]
    monkeypatch.setattr(known_devices, "MAX_KEPT_IDS", 40)
    kept = KnownDevices()
    for rollout, blocks in made * 5:
        kept.keep(rollout, blocks)
    assert all(kept.has_none_of(rollout.id, OTHERS) for rollout, _ in made)
    assert not kept.has_none_of(made[1][0].id, frozenset({names[1]}))


def test_of_two_rollouts_above_the_limit_only_the_last_one_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(devices(2))
    made = [make(world, name) for name in world.hub.devices]
    monkeypatch.setattr(known_devices, "MAX_KEPT_IDS", 1)
    kept = KnownDevices()
    for rollout, blocks in made:
        kept.keep(rollout, blocks)
    assert [kept.has_none_of(rollout.id, OTHERS) for rollout, _ in made] == [False, True]
