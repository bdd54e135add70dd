"""Late joiners: when devices may join, how they are searched, and where they are stored."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.rollouts.model.block import BLOCK_SIZE, Block, BlockSummary
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.joining import Joining
from functions.rollouts.model.quotas import Tier, quotas
from functions.rollouts.model.rollback import RollbackDue
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.target import Target, TargetDevice
from functions.rollouts.model.wave import Counts, WaveStatus
from functions.rollouts.rollout import joiners
from tests.functions.builders import NOON, at, make_rollout, make_update, make_wave
from tests.functions.rollouts.rollout.stratified import (
    SMALL,
    freeze,
    make_part,
    make_stratified,
    make_stratified_wave,
)

S1, S2 = quotas(Tier.S1, 1), quotas(Tier.S1, 1, scale=2)
TARGET = Target(condition="tags.site = 'berlin'", joiners=True)


def make_open(size: int = 1, **values: Any) -> Rollout:
    known: dict[str, Any] = {"target": TARGET}
    return make_rollout(make_wave(size), **(known | values))


def list_devices(count: int) -> tuple[TargetDevice, ...]:
    return tuple(TargetDevice(f"new-{number}") for number in range(count))


# -- who may join ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "takes"),
    [
        ({}, True),
        ({"status": RolloutStatus.PAUSED}, True),
        ({"target": Target(condition="x")}, False),
        ({"waves": ()}, False),
        ({"ended_at": at(1)}, False),
        ({"status": RolloutStatus.CANCELLED}, False),
        ({"status": RolloutStatus.PAUSED, "started_at": None}, False),
        ({"rollback": RollbackDue()}, False),
        ({"waves": (make_wave(status=WaveStatus.FAILED),)}, False),
        ({"waves": (make_wave(status=WaveStatus.FAILED, passed=True),)}, True),
        ({"waves": (make_wave(status=WaveStatus.FAILED), make_wave(name="rest"))}, True),
    ],
)
def test_devices_join_while_the_rollout_is_open_and_its_last_wave_not_stopped(
    values: dict[str, Any], *, takes: bool
) -> None:
    assert joiners.takes_joiners(make_open(**values)) is takes


def test_a_frozen_stratum_takes_no_device() -> None:
    rollout = make_stratified(make_stratified_wave(make_part(queued=1), make_part(queued=1)))
    small = TargetDevice("a", "small")
    assert joiners.may_join(rollout, small)
    assert not joiners.may_join(freeze(rollout, SMALL), small)
    assert joiners.may_join(freeze(rollout, SMALL), TargetDevice("a", "large"))


# -- the search ------------------------------------------------------------------------------


def test_searches_are_a_minute_apart_and_take_a_tenth_of_the_queries() -> None:
    assert joiners.search_interval(S1) == timedelta(minutes=1)
    assert joiners.search_interval(S2) == timedelta(seconds=30)
    assert joiners.page_interval(S1) == timedelta(seconds=30)
    assert joiners.page_interval(S2) == timedelta(seconds=15)
    assert joiners.expected_search(S1, 1) == timedelta(minutes=1)
    assert joiners.expected_search(S1, 3) == timedelta(seconds=90)


@pytest.mark.parametrize(
    ("joining", "seconds", "is_due"),
    [
        (Joining(), 59, False),  # the first search: a minute after the creation
        (Joining(), 60, True),
        (Joining(due_at=at(99)), 98, False),
        (Joining(due_at=at(99)), 99, True),
        (Joining(due_at=at(99), found=list_devices(1)), 99, False),
    ],
)
def test_a_page_is_queried_when_it_is_due_and_no_found_device_waits(
    joining: Joining, seconds: float, *, is_due: bool
) -> None:
    assert joiners.is_due(make_open(joining=joining), at(seconds), S1) is is_due
    closed = make_open(joining=joining, target=Target(condition="x"))
    assert not joiners.is_due(closed, at(seconds), S1)


def test_the_pages_of_a_search_follow_each_other_and_the_last_one_completes_it() -> None:
    found = list_devices(2)
    first = joiners.record_page(make_open(joining=Joining(joined=7)), at(100), S1, found, "next")
    assert first.joining == Joining(
        joined=7, found=found, cursor="next", began_at=at(100), due_at=at(130)
    )
    last = joiners.record_page(first, at(145), S1, (), None)
    assert last.joining == Joining(joined=7, began_at=at(100), checked_at=at(100), due_at=at(175))


def test_a_search_of_one_page_is_repeated_after_a_minute() -> None:
    before = Joining(began_at=at(10), checked_at=at(10), due_at=at(70))
    joining = joiners.record_page(make_open(joining=before), at(100), S1, (), None).joining
    assert joining == Joining(began_at=at(100), checked_at=at(100), due_at=at(160))


def test_the_latest_complete_search_is_kept_while_the_next_one_lasts() -> None:
    before = Joining(began_at=at(10), checked_at=at(10))
    joining = joiners.record_page(make_open(joining=before), at(100), S1, (), "next").joining
    assert (joining.checked_at, joining.began_at) == (at(10), at(100))


def test_a_search_that_the_hub_refused_begins_again_after_a_minute() -> None:
    before = Joining(cursor="old", began_at=at(10), joined=3)
    joining = joiners.restart_search(make_open(joining=before), at(100), S1).joining
    assert joining == Joining(began_at=at(10), joined=3, due_at=at(160))


# -- joining ---------------------------------------------------------------------------------


def test_devices_join_behind_the_others_in_the_last_block_and_new_ones() -> None:
    joining = Joining(found=list_devices(3), joined=4, due_at=at(9))
    rollout = make_open(
        2 * BLOCK_SIZE - 1,
        joining=joining,
        block_summaries=(BlockSummary(None, 1), BlockSummary(at(5), 2)),
    )
    assert joiners.block_numbers(rollout) == {"new-0": 1, "new-1": 2, "new-2": 2}
    last_block = Block(1, tuple(make_update(f"d-{n}") for n in range(BLOCK_SIZE - 1)))
    found, blocks = joiners.add_found(rollout, last_block, at(60))
    assert [(number, len(block.updates)) for number, block in blocks.items()] == [(1, 100), (2, 2)]
    assert [block.number for block in blocks.values()] == [1, 2]
    assert blocks[1].updates[:-1] == last_block.updates
    assert blocks[2].updates[1].device_id == "new-2"
    assert found.joining == Joining(joined=7, due_at=at(9))
    assert found.block_summaries == (*rollout.block_summaries, BlockSummary(None, 0))
    assert found.waves[0].size == 2 * BLOCK_SIZE + 2


def test_devices_join_a_new_block_if_the_last_one_is_full() -> None:
    rollout = make_open(BLOCK_SIZE, joining=Joining(found=list_devices(1)))
    found, blocks = joiners.add_found(rollout, None, at(60))
    assert list(blocks) == [1]
    assert len(found.block_summaries) == 2


def test_a_device_that_joins_is_queued_in_the_last_wave() -> None:
    rollout = make_rollout(make_wave(2, name="canary"), make_wave(3, name="rest"))
    rollout = replace(rollout, joining=Joining(found=list_devices(1)))
    known = Block(0, (make_update(),) * 5)
    found, blocks = joiners.add_found(rollout, known, at(60))
    update = blocks[0].updates[-1]
    assert (update.device_id, update.wave, update.state) == ("new-0", 1, DeviceState.QUEUED)
    assert (update.queued_at, update.updated_at, update.history[0].at) == (at(60), at(60), at(60))
    assert [wave.size for wave in found.waves] == [2, 4]
    assert (update.attempt, update.history[0].attempt) == (1, 1)
    event = found.audit.events[-1]
    assert (event.at, event.action) == (at(60), "devicesJoined")
    assert event.message == "1 device joined wave rest: new-0."


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (5, "5 devices joined wave all: new-0, new-1, new-2, new-3, new-4."),
        (7, "7 devices joined wave all: new-0, new-1, new-2, new-3, new-4 and 2 more."),
    ],
)
def test_the_first_devices_that_join_are_named(count: int, message: str) -> None:
    rollout = make_open(joining=Joining(found=list_devices(count)))
    found, _ = joiners.add_found(rollout, Block(0, (make_update(),)), NOON)
    assert found.audit.events[-1].message == message


@pytest.mark.parametrize(
    ("status", "passed", "expected"),
    [
        (WaveStatus.COMPLETED, False, WaveStatus.RUNNING),
        (WaveStatus.FAILED, True, WaveStatus.RUNNING),
        (WaveStatus.FAILED, False, WaveStatus.FAILED),
        (WaveStatus.SOAKING, False, WaveStatus.SOAKING),
    ],
)
def test_a_wave_that_had_ended_runs_again_with_devices_that_join(
    status: WaveStatus, expected: WaveStatus, *, passed: bool
) -> None:
    wave = make_wave(1, counts=Counts(completed=1), status=status, passed=passed, ended_at=at(9))
    rollout = make_open(waves=(wave,), joining=Joining(found=list_devices(1)))
    (found,) = joiners.add_found(rollout, Block(0, (make_update(),)), at(60))[0].waves
    assert (found.status, found.passed, found.ended_at) == (expected, False, None)


def test_a_device_joins_its_stratum_or_that_of_all_other_values() -> None:
    rollout = make_stratified(
        make_stratified_wave(make_part(queued=1), make_part(queued=1)),
        joining=Joining(found=(TargetDevice("a", "small"), TargetDevice("b", "new"))),
    )
    found, blocks = joiners.add_found(rollout, Block(0, (make_update(),) * 2), at(60))
    assert found.strata == ("large", "small", "(other)")
    assert [item.stratum for item in blocks[0].updates[2:]] == [1, 2]


def test_the_end_of_a_rollout_tells_how_many_devices_joined() -> None:
    last = " Devices that come to meet the condition from now on do not join."
    assert joiners.describe_end(make_open()) == last
    joined = make_open(joining=Joining(joined=2))
    assert joiners.describe_end(joined) == f" 2 devices joined while it was open.{last}"
    assert not joiners.describe_end(make_rollout())
