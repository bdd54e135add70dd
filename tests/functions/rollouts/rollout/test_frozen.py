"""Describe a rollout without its frozen strata, and let a stratum go on."""

from dataclasses import replace

import pytest

from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.dispatch import Dispatch
from functions.rollouts.model.gate_sequence import Mark
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollback import RollbackDue, RolledBack
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.stop import ShownFailures, Stop
from functions.rollouts.model.wave import Counts, Wave, WaveStatus, WaveStratum
from functions.rollouts.rollout import frozen
from tests.functions.builders import at, make_wave
from tests.functions.rollouts.rollout.stratified import (
    LARGE,
    SMALL,
    WHY,
    freeze,
    make_part,
    make_stratified,
    make_stratified_wave,
)

PART_OF_LARGE = replace(
    make_part(7, 8, 9, completed=4, queued=2, skipped=1),
    already_running=1,
    not_started=2,
    acknowledged_failed=1,
    acknowledged_not_started=1,
)
PART_OF_SMALL = replace(
    make_part(10, 11, completed=2, soaking=1, queued=3, cancelled=1, skipped=2),
    already_running=2,
    not_started=1,
    acknowledged_failed=2,
    acknowledged_not_started=1,
)


def make_both(status: WaveStatus = WaveStatus.RUNNING) -> Rollout:
    return make_stratified(make_stratified_wave(PART_OF_LARGE, PART_OF_SMALL, status=status))


def without_frozen(rollout: Rollout) -> Wave:
    return frozen.without_frozen(rollout, rollout.waves[0])


# -- without frozen strata -------------------------------------------------------------------


def test_a_wave_without_a_frozen_stratum_has_the_counts_of_the_others() -> None:
    left = without_frozen(freeze(make_both(), SMALL))
    assert (left.size, left.counts) == (10, PART_OF_LARGE.counts)
    assert (left.already_running, left.not_started) == (1, 2)
    assert (left.acknowledged_failed, left.acknowledged_not_started) == (1, 1)


def test_failed_devices_of_a_frozen_stratum_count_as_healthy_in_the_start_order() -> None:
    rollout = make_both()
    left = without_frozen(freeze(rollout, SMALL))
    assert rollout.waves[0].sequence.failed == (8, 9, 10, 11, 12)
    assert left.sequence.failed == (8, 9, 0, 0, 12)
    assert left.sequence.devices == rollout.waves[0].sequence.devices


def test_failures_that_a_retry_has_forgotten_do_not_make_the_rest_negative() -> None:
    rollout = make_both()
    wave = replace(rollout.waves[0], acknowledged_failed=1, acknowledged_not_started=0)
    left = without_frozen(freeze(replace(rollout, waves=(wave,)), SMALL))
    assert (left.acknowledged_failed, left.acknowledged_not_started) == (0, 0)


def test_nothing_is_left_out_if_none_or_all_strata_are_frozen() -> None:
    for rollout in (make_both(), freeze(make_both(), LARGE, SMALL)):
        assert without_frozen(rollout) is rollout.waves[0]


def test_a_wave_that_does_not_know_its_strata_is_left_as_it_is() -> None:
    rollout, wave = freeze(make_both(), SMALL), make_wave(5)
    assert frozen.without_frozen(rollout, wave) is wave
    assert frozen.count_frozen_queued(rollout, wave) == 0
    assert frozen.stratum_counts(replace(rollout, waves=(wave,)), SMALL) == Counts()


# -- what waits ------------------------------------------------------------------------------


def test_queued_devices_of_frozen_strata_are_counted() -> None:
    rollout = freeze(make_both(), SMALL)
    assert frozen.frozen_strata(rollout) == {SMALL}
    assert frozen.count_frozen_queued(rollout, rollout.waves[0]) == 3
    assert frozen.count_waiting(rollout, [SMALL]) == 3
    assert frozen.count_waiting(rollout, [LARGE, SMALL]) == 5


def test_a_stratum_is_counted_in_all_waves_together() -> None:
    first = make_stratified_wave(make_part(completed=1), make_part(completed=2))
    second = make_stratified_wave(make_part(queued=4), make_part(queued=8))
    assert frozen.stratum_counts(make_stratified(first, second), SMALL) == Counts(
        completed=2, queued=8
    )


def test_only_devices_of_a_frozen_stratum_have_its_reason_to_wait() -> None:
    rollout = freeze(make_both(), SMALL)
    reason = frozen.freeze_reason(rollout, SMALL)
    expected = "stratum small is frozen. Too many failed."
    assert reason == Reason(code="stratumFrozen", message=expected)
    assert frozen.freeze_reason(rollout, LARGE) is None
    assert frozen.freeze_reason(rollout, None) is None
    assert frozen.freeze_reason(replace(rollout, stratum_gates=()), SMALL) is None


@pytest.mark.parametrize(
    ("strata", "queued", "message"),
    [
        ([SMALL], (5, 0), "No device of frozen stratum small waits. Too many failed."),
        ([SMALL], (5, 1), "1 device of frozen stratum small waits. Too many failed."),
        ([SMALL], (5, 2), "2 devices of frozen stratum small wait. Too many failed."),
        (
            [LARGE, SMALL],
            (5, 2),
            "7 devices of frozen strata large, small wait. Too many failed. Too many failed.",
        ),
    ],
)
def test_a_rollout_says_how_many_devices_of_frozen_strata_wait(
    strata: list[int], queued: tuple[int, int], message: str
) -> None:
    parts = [make_part(queued=number, completed=1) for number in queued]
    rollout = freeze(make_stratified(make_stratified_wave(*parts)), *strata)
    assert frozen.describe_waiting(rollout) == Reason(code="stratumFrozen", message=message)


def test_a_stratum_that_was_cancelled_does_not_wait() -> None:
    rollout = freeze(make_both(), SMALL, is_cancelled=True)
    assert frozen.waiting_strata(rollout) == []
    assert frozen.cancelled_strata(rollout) == {SMALL}
    assert frozen.describe_waiting(rollout) is None
    rollout = freeze(make_both(), SMALL)
    assert frozen.waiting_strata(rollout) == [SMALL]
    assert not frozen.cancelled_strata(rollout)


def test_a_rollback_of_a_stratum_is_due_until_it_is_created() -> None:
    assert not frozen.has_due_rollback(make_both())
    assert not frozen.has_due_rollback(freeze(make_both(), SMALL))
    assert frozen.has_due_rollback(freeze(make_both(), SMALL, rollback=RollbackDue("r")))
    assert not frozen.has_due_rollback(freeze(make_both(), SMALL, rollback=RolledBack("r")))


@pytest.mark.parametrize(
    ("large", "is_all"),
    [
        (make_part(completed=1, failed=1), True),
        (make_part(completed=1, queued=1), False),
        (make_part(completed=1, soaking=1), False),
    ],
)
def test_only_frozen_devices_are_left_once_all_others_have_ended(
    large: WaveStratum, *, is_all: bool
) -> None:
    rollout = make_stratified(make_stratified_wave(large, make_part(queued=5)))
    assert not frozen.is_all_frozen(rollout)
    assert frozen.is_all_frozen(freeze(rollout, SMALL)) is is_all
    assert not frozen.is_all_frozen(freeze(rollout, SMALL, is_cancelled=True))


def test_stops_for_frozen_strata_are_told_from_others() -> None:
    of_frozen = Stop(reason=Reason(code="stratumFrozen", message="Waits."), revision=1)
    other = Stop(reason=WHY, revision=2)
    rollout = replace(make_both(), stops=(of_frozen, other))
    assert frozen.without_frozen_stops(rollout).stops == (other,)
    rollout = replace(rollout, stops=(other,))
    assert frozen.without_frozen_stops(rollout) is rollout


# -- freeze and go on ------------------------------------------------------------------------


def test_a_freeze_shows_the_failures_of_the_next_revision() -> None:
    rollout = replace(make_both(), revision=7)
    freeze = frozen.freeze(rollout, SMALL, WHY, at(10)).stratum_gates[SMALL].frozen
    assert freeze is not None
    assert (freeze.reason, freeze.at, freeze.revision) == (WHY, at(10), 8)
    mark = Mark(started=5, in_flight=1, failures=2)
    assert freeze.shown == (ShownFailures(revision=8, failed=2, ended=False, mark=mark),)


def test_a_frozen_stratum_keeps_its_first_reason() -> None:
    rollout = freeze(make_both(), SMALL)
    assert frozen.freeze(rollout, SMALL, Reason(code="other", message=""), at(99)) is rollout


def test_a_stratum_that_goes_on_is_judged_by_its_next_failures() -> None:
    rollout = freeze(make_both(), SMALL)
    before = rollout.stratum_gates[SMALL].sequence
    found = frozen.acknowledge_stratum(rollout, SMALL, at(60))
    gate = found.stratum_gates[SMALL]
    assert (gate.frozen, gate.acknowledged_at) == (None, at(60))
    assert gate.sequence == before.restart()
    assert found.stratum_gates[LARGE] == rollout.stratum_gates[LARGE]


def test_failures_after_those_that_were_shown_are_not_acknowledged() -> None:
    rollout = freeze(make_both(), SMALL)
    mark = Mark(started=4, in_flight=1, failures=1)
    shown = ShownFailures(revision=1, failed=1, ended=False, mark=mark)
    found = frozen.acknowledge_stratum(rollout, SMALL, at(60), shown)
    assert found.stratum_gates[SMALL].sequence.failures == 1


def test_devices_that_waited_for_a_frozen_stratum_are_ready_once_it_goes_on() -> None:
    first, second, third = (DeviceSet.of([n]) for n in range(3))
    dispatch = Dispatch(ready={0: first, 2: third}, frozen={0: second, 1: third})
    rollout = freeze(replace(make_both(), dispatch=dispatch), SMALL)
    found = frozen.acknowledge_stratum(rollout, SMALL, at(60)).dispatch
    assert found.ready == {0: first | second, 1: third, 2: third}
    assert not found.frozen
    others = frozen.acknowledge_stratum(rollout, LARGE, at(60)).dispatch
    assert others == dispatch


def test_all_failures_of_a_stratum_are_acknowledged_in_each_wave() -> None:
    rollout = freeze(make_both(), LARGE)
    wave = frozen.acknowledge_stratum(rollout, LARGE, at(60)).waves[0]
    assert (wave.acknowledged_failed, wave.acknowledged_not_started) == (5, 3)
    assert wave.sequence.failed == (0, 0, 10, 11, 12)
    assert wave.strata == (PART_OF_LARGE.acknowledge(), PART_OF_SMALL)
    assert (wave.strata[LARGE].acknowledged_failed, wave.strata[LARGE].counts.failed) == (3, 3)


def test_a_failure_that_was_acknowledged_before_is_not_acknowledged_twice() -> None:
    small = replace(PART_OF_SMALL, acknowledged_failed=0, acknowledged_not_started=0)
    rollout = make_stratified(make_stratified_wave(PART_OF_LARGE, small))
    wave = frozen.acknowledge_stratum(rollout, LARGE, at(60)).waves[0]
    assert (wave.acknowledged_failed, wave.acknowledged_not_started) == (3, 2)


def test_no_more_failures_are_acknowledged_than_there_are() -> None:
    part = replace(PART_OF_LARGE, acknowledged_failed=0, acknowledged_not_started=0)
    wave = make_stratified_wave(
        part, PART_OF_SMALL, acknowledged_failed=4, acknowledged_not_started=2
    )
    found = frozen.acknowledge_stratum(make_stratified(wave), LARGE, at(60)).waves[0]
    assert (found.acknowledged_failed, found.acknowledged_not_started) == (5, 3)


@pytest.mark.parametrize(
    ("status", "queued", "stopped", "expected"),
    [
        (WaveStatus.COMPLETED, 2, None, WaveStatus.RUNNING),
        (WaveStatus.COMPLETED, 0, None, WaveStatus.COMPLETED),
        (WaveStatus.FAILED, 2, None, WaveStatus.RUNNING),
        (WaveStatus.FAILED, 2, 1, WaveStatus.RUNNING),
        (WaveStatus.FAILED, 2, 0, WaveStatus.FAILED),
        (WaveStatus.FAILED, 0, None, WaveStatus.FAILED),
    ],
)
def test_a_wave_that_ended_without_the_stratum_runs_again_unless_it_is_stopped(
    status: WaveStatus, queued: int, stopped: int | None, expected: WaveStatus
) -> None:
    parts = make_part(completed=2), make_part(queued=queued, completed=1)
    wave = make_stratified_wave(*parts, status=status, ended_at=at(5))
    rollout = make_stratified(wave)
    if stopped is not None:
        rollout = replace(rollout, stops=(Stop(reason=WHY, revision=5, wave=stopped),))
    found = frozen.acknowledge_stratum(rollout, SMALL, at(60)).waves[0]
    assert found.status is expected
    assert found.strata == parts
    assert found.ended_at == (None if expected is WaveStatus.RUNNING else at(5))
