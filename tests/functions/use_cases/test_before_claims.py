"""Test which twins are read singly before devices are claimed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from functions.rollouts.device.moment import Moment
from functions.rollouts.model.device_twin import DeviceTwin
from functions.use_cases.before_claims import lock_devices, read_baseline_twins
from functions.use_cases.device_locks import lock_device
from functions.use_cases.tick_budget import MAX_SINGLE_READS
from tests.functions.builders import make_moment, make_rollout, make_update, make_wave
from tests.functions.use_cases.world import World, device, devices

MANY = MAX_SINGLE_READS + 1


class FakeHub:
    """Keep which twins are queried, and which are read singly."""

    def __init__(self, count: int, *, running: int | None = None, tutorial: int = -1) -> None:
        world = World(devices(count))
        if tutorial >= 0:
            world.hub.devices[f"d-{tutorial:03}"] = device(f"d-{tutorial:03}", tutorial_only=True)
        self.twins: dict[str, DeviceTwin] = {}
        for name in world.hub.devices:
            twin = world.hub.read_twin(name)
            assert twin is not None
            self.twins[name] = twin
        if running is not None:
            name = f"d-{running:03}"
            reported = {**self.twins[name].reported, "firmwareVersion": "2.4.0"}
            self.twins[name] = replace(self.twins[name], reported=reported)
        self.gone: set[str] = set()
        self.queried: list[str] = []
        self.read: list[str] = []

    def query_twins(self, device_ids: Sequence[str]) -> Mapping[str, DeviceTwin]:
        self.queried += device_ids
        return {name: self.twins[name] for name in device_ids if name not in self.gone}

    def read_twins(self, device_ids: Sequence[str]) -> Mapping[str, DeviceTwin | None]:
        assert device_ids
        self.read += device_ids
        return {name: None if name in self.gone else self.twins[name] for name in device_ids}


def moment(count: int, *, needs_fresh_twins: bool = False) -> Moment:
    rollout = make_rollout(make_wave(max(1, count)), needs_fresh_twins=needs_fresh_twins)
    return make_moment(rollout=rollout)


def read(hub: Any, now: Moment, count: int) -> tuple[Mapping[str, DeviceTwin | None], list[int]]:
    """Read the twins of `count` devices. Return them and the announced numbers of single reads."""
    announced = list[int]()
    updates = [make_update(f"d-{number:03}") for number in range(count)]
    return read_baseline_twins(hub, now, updates, announced.append), announced


@pytest.mark.parametrize("fresh", [False, True])
def test_the_twins_of_few_devices_are_read_singly_without_a_notice(fresh: bool) -> None:
    hub = FakeHub(MAX_SINGLE_READS)
    now = moment(MAX_SINGLE_READS, needs_fresh_twins=fresh)
    assert read(hub, now, MAX_SINGLE_READS) == (hub.twins, [])
    assert (len(hub.read), hub.queried) == (MAX_SINGLE_READS, [])
    assert read(hub, now, 0) == ({}, [])


def test_a_query_suffices_for_many_devices_that_know_rollouts() -> None:
    hub = FakeHub(MANY)
    assert read(hub, moment(MANY), MANY) == (hub.twins, [0])
    assert (len(hub.queried), hub.read) == (MANY, [])


def test_a_rollout_that_needs_fresh_twins_reads_all_of_them_singly() -> None:
    hub = FakeHub(MANY)
    assert read(hub, moment(MANY, needs_fresh_twins=True), MANY) == (hub.twins, [MANY])
    assert (len(hub.read), hub.queried) == (MANY, [])


def test_twins_that_a_query_does_not_tell_enough_of_are_read_singly() -> None:
    hub = FakeHub(MANY, running=1, tutorial=2)
    hub.gone = {"d-000"}
    found, announced = read(hub, moment(MANY), MANY)
    assert (sorted(hub.read), announced) == (["d-000", "d-001", "d-002"], [3])
    assert found == {**hub.twins, "d-000": None}


def test_devices_behind_one_that_the_hub_does_not_know_are_locked() -> None:
    world = World([device("gone"), device("old", tutorial_only=True)])
    lock_device(world.stores, "another", "old", world.now)
    rollout = make_rollout(make_wave(2))
    now = make_moment(rollout=rollout)
    twins: dict[str, DeviceTwin | None] = {"gone": None, "old": world.hub.read_twin("old")}
    updates = [make_update("gone"), make_update("old")]
    assert lock_devices(world.services, now, updates, twins) == {"old": "another"}
