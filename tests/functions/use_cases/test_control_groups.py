"""Test which devices are compared with those that are about to fail, and what is measured."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from functions.rollout_store.ports.rollouts import Snapshot
from functions.rollouts.model.block import BLOCK_SIZE, Block
from functions.rollouts.model.quotas import QUERY_ROWS
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.wave import Wave
from functions.rollouts.rollout.outage_chance import MIN_SIZE, Control
from functions.use_cases import control_groups
from tests.functions.builders import NOON, make_rollout, make_update, make_wave


class Fleet:
    """Stand in for the store and the hub: queued devices, three neighbours in each stratum."""

    def __init__(self, strata: int = 0, offline: Sequence[int] = ()) -> None:
        self._strata, self._offline = strata, offline
        self.numbers: list[int] = []  # of the blocks that were read
        self.queried: list[str] = []
        self.unknown: set[str] = set()

    def stratum(self, device_id: str) -> int | None:
        return int(device_id[2:]) // 3 % self._strata if self._strata else None

    def get_blocks(self, snapshot: Snapshot, numbers: Sequence[int]) -> Snapshot:
        self.numbers += numbers
        return replace(snapshot, blocks={number: self._make(number) for number in numbers})

    def _make(self, number: int) -> Block:
        ids = [f"d-{number * BLOCK_SIZE + index:04}" for index in range(BLOCK_SIZE)]
        return Block(number, tuple(make_update(item, stratum=self.stratum(item)) for item in ids))

    def query_connections(self, device_ids: Sequence[str]) -> Mapping[str, bool]:
        self.queried += device_ids
        known = [item for item in device_ids if item not in self.unknown]
        return {item: self.stratum(item) not in self._offline for item in known}


def read(fleet: Any, rollout: Rollout, *strata: int | None) -> Sequence[Control]:
    snapshot = Snapshot(rollout, "version")
    return control_groups.read(fleet, fleet, snapshot, strata, NOON)


def wave(size: int, leased: int) -> Wave:
    return make_wave(size, leased=leased)


@pytest.mark.parametrize(
    ("waves", "numbers"),
    [
        ([wave(1000, 0)], [0, 1, 2, 3, 6, 7, 8, 9]),
        ([wave(1000, 799)], [0, 1, 2, 3, 7, 8, 9]),
        ([wave(1000, 800)], [0, 1, 2, 3, 8, 9]),
        ([wave(1000, 999)], [0, 1, 2, 3, 9]),
        ([wave(1000, 1000)], [0, 1, 2, 3]),
        ([wave(500, 400), wave(500, 500)], [0, 1, 2, 3, 4]),
        ([wave(550, 500), wave(450, 400)], [0, 1, 2, 3, 5, 9]),
        ([wave(600, 500), wave(400, 100)], [0, 1, 2, 3, 5, 7, 8, 9]),
        ([wave(150, 0)], [0, 1]),
    ],
)
def test_the_last_blocks_with_devices_that_never_started_and_the_first_ones_are_read(
    waves: list[Wave], numbers: list[int]
) -> None:
    fleet = Fleet()
    read(fleet, make_rollout(*waves), None)
    assert fleet.numbers == numbers


def test_without_strata_one_group_of_all_devices_is_measured() -> None:
    fleet = Fleet()
    (found,) = read(fleet, make_rollout(wave(200, 0)), None)
    assert found.stratum is None
    assert found.fleet is None
    assert found.size == found.connected == len(fleet.queried) > MIN_SIZE
    assert len(fleet.queried) <= QUERY_ROWS


def test_nothing_to_compare_costs_no_query() -> None:
    fleet = Fleet()
    assert read(fleet, make_rollout(wave(200, 0))) == ()
    assert not fleet.numbers
    assert not fleet.queried


def test_devices_that_the_hub_does_not_know_are_not_counted() -> None:
    fleet = Fleet()
    fleet.unknown = {"d-0000", "d-0001"}
    (found,) = read(fleet, make_rollout(wave(100, 0)), None)
    assert {"d-0000", "d-0001"} <= set(fleet.queried)
    assert found.size == found.connected == len(fleet.queried) - 2


def test_a_stratum_is_compared_with_its_own_devices_and_with_those_of_all() -> None:
    fleet = Fleet(strata=2)
    own, other = read(fleet, make_rollout(wave(200, 0)), 0, 1)
    assert (own.stratum, other.stratum) == (0, 1)
    for control in (own, other):
        assert not control.of_all
        assert control.size == control.connected >= MIN_SIZE
        assert control.fleet is not None
        assert (control.fleet.stratum, control.fleet.of_all) == (None, True)
        assert control.fleet.size == control.fleet.connected > control.size
    assert fleet.queried == sorted(set(fleet.queried))


def test_a_stratum_that_is_away_as_a_whole_is_no_part_of_the_fleet() -> None:
    fleet = Fleet(strata=2, offline=[0])
    (away,) = read(fleet, make_rollout(wave(200, 0)), 0)
    assert (away.connected, away.size >= MIN_SIZE) == (0, True)
    assert away.fleet is not None
    assert away.fleet.connected == away.fleet.size > 0


def test_a_stratum_with_few_devices_is_compared_with_those_of_all_alone() -> None:
    fleet = Fleet(strata=100)
    (found,) = read(fleet, make_rollout(wave(200, 0)), 7)
    assert found.of_all
    assert found.fleet is None
    assert found.size > MIN_SIZE
