"""What a resume acknowledges of waves and strata, by what each revision showed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from functions.rollouts.model.gate_sequence import Mark
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.stop import ShownFailures, Stop
from functions.rollouts.model.stratum import StratumGate
from functions.rollouts.model.wave import Counts, Wave, WaveStatus
from functions.rollouts.rollout import frozen, stops
from tests.functions.builders import at, make_rollout, make_wave, with_counts
from tests.functions.rollouts.rollout.stratified import (
    LARGE,
    SMALL,
    WHY,
    freeze,
    make_part,
    make_stratified,
    make_stratified_wave,
)

FAILED, RUNNING = WaveStatus.FAILED, WaveStatus.RUNNING


def shown(revision: int, failed: int = 1, **values: Any) -> ShownFailures:
    known: dict[str, Any] = {"ended": False, "mark": Mark(failed, 0, failed)}
    return ShownFailures(revision=revision, failed=failed, **(known | values))


def make_failed(**counts: int) -> Wave:
    found = Counts(**counts)
    return make_wave(
        found.total,
        counts=found,
        status=FAILED,
        not_started=1,
        acknowledged_at=at(5),
        ended_at=at(9),
    )


def make_paused(*waves: Wave, **values: Any) -> Rollout:
    return make_rollout(*waves, status=RolloutStatus.PAUSED, status_reason=WHY, **values)


# -- a failed wave ---------------------------------------------------------------------------


def test_a_wave_whose_end_was_seen_passes_and_stays_as_it_ended() -> None:
    part = replace(make_part(1, 2, completed=3), not_started=1)
    wave = make_stratified_wave(part, make_part(), status=FAILED, ended_at=at(9))
    found = stops.acknowledge(wave, at(60))
    assert (found.status, found.passed, found.ended_at) == (FAILED, True, at(9))
    assert (found.acknowledged_failed, found.acknowledged_not_started) == (2, 1)
    assert found.acknowledged_at == at(60)
    assert found.sequence == wave.sequence.restart()
    assert found.strata == (part.acknowledge(), make_part())


def test_a_wave_with_devices_under_way_runs_again() -> None:
    found = stops.acknowledge(make_failed(completed=3, failed=2, updating=1), at(60))
    assert (found.status, found.passed, found.ended_at) == (RUNNING, False, None)


@pytest.mark.parametrize(("failed", "acknowledged"), [(1, 1), (2, 2), (3, 2)])
def test_only_failures_that_were_shown_are_acknowledged(failed: int, acknowledged: int) -> None:
    """Fewer are left than were shown if a device completed late."""
    wave = make_stratified_wave(make_part(4, 5, completed=3), make_part(), status=FAILED)
    found = stops.acknowledge(wave, at(60), shown(2, failed))
    assert (found.status, found.passed) == (RUNNING, False)
    assert found.acknowledged_failed == acknowledged
    assert found.sequence.failures == max(0, 2 - failed)
    assert found.strata == wave.strata


@pytest.mark.parametrize(("frozen", "status"), [(0, RUNNING), (1, RUNNING), (2, FAILED)])
def test_devices_of_frozen_strata_are_not_waited_for(frozen: int, status: WaveStatus) -> None:
    wave = make_failed(completed=3, failed=2, queued=2)
    assert stops.acknowledge(wave, at(60), frozen=frozen).status is status


def test_without_a_time_the_latest_resume_stays_the_latest() -> None:
    assert stops.acknowledge(make_failed(failed=2)).acknowledged_at == at(5)


def test_a_wave_that_has_not_failed_or_has_passed_is_left_as_it_is() -> None:
    wave = make_failed(failed=2)
    for other in (replace(wave, passed=True), replace(wave, status=RUNNING)):
        assert stops.acknowledge(other, at(60)) is other


# -- a resume --------------------------------------------------------------------------------


def test_a_resume_passes_a_wave_of_which_only_frozen_devices_are_left() -> None:
    wave = make_stratified_wave(make_part(3, completed=2), make_part(queued=4), status=FAILED)
    rollout = freeze(make_stratified(wave, status=RolloutStatus.PAUSED), SMALL)
    rollout = replace(rollout, stops=(Stop(reason=WHY, revision=1, wave=0),))
    found = stops.resume(rollout, at(60), None).waves[0]
    assert (found.status, found.passed, found.acknowledged_at) == (FAILED, True, at(60))


@pytest.mark.parametrize(
    ("started_at", "status"),
    [(None, RolloutStatus.SCHEDULED), (at(0), RolloutStatus.RUNNING)],
)
def test_a_rollout_goes_on_where_its_pause_found_it(started_at: Any, status: RolloutStatus) -> None:
    rollout = make_paused(started_at=started_at, stops=(Stop(reason=WHY, revision=1),))
    found = stops.resume(rollout, at(60), None)
    assert (found.status, found.status_reason, found.stops) == (status, None, ())


def make_stopped_stratum(revision: int) -> Rollout:
    """Pause a rollout for a stratum, whose two failures were shown one after the other."""
    wave = make_stratified_wave(make_part(completed=2), make_part(3, 4))
    stop = Stop(reason=WHY, revision=revision, stratum=SMALL, shown=(shown(4), shown(6, 2)))
    first = Stop(reason=WHY, revision=4)
    return make_stratified(wave, status=RolloutStatus.PAUSED, stops=(first, stop), revision=9)


@pytest.mark.parametrize(("revision", "left"), [(None, 0), (5, 1), (6, 0)])
def test_a_resume_acknowledges_what_was_shown_of_a_stratum(revision: int | None, left: int) -> None:
    rollout = make_stopped_stratum(4)
    assert stops.has_failed_wave(rollout)
    gate = stops.resume(rollout, at(60), revision).stratum_gates[SMALL]
    assert (gate.sequence.failures, gate.acknowledged_at) == (left, at(60))


def test_a_stratum_that_failed_after_the_resume_was_decided_is_not_acknowledged() -> None:
    rollout = make_stopped_stratum(7)
    found = stops.resume(rollout, at(60), 5)
    assert found.stratum_gates == rollout.stratum_gates
    assert (found.status, found.stops) == (RolloutStatus.PAUSED, rollout.stops[1:])


@pytest.mark.parametrize(
    ("revision", "expected"),
    [(None, None), (1, 2), (2, 2), (3, 2), (4, 4), (5, 4), (6, None), (7, None)],
)
def test_a_revision_shows_the_latest_failures_up_to_it(
    revision: int | None, expected: int | None
) -> None:
    found = stops.find_shown([shown(2), shown(4, 2), shown(6, 3)], revision)
    assert (found and found.revision) == expected
    assert stops.find_shown([], revision) is None


# -- what each revision shows ----------------------------------------------------------------


def list_shown(rollout: Rollout) -> Sequence[tuple[int, int, bool]]:
    return [(item.revision, item.failed, item.ended) for item in rollout.stops[0].shown]


def let_fail(rollout: Rollout, *failures: int) -> Rollout:
    """Record a revision for each number of failed devices, of 100 in the first wave."""
    for failed in failures:
        counts = Counts(updating=100 - failed, failed=failed)
        wave = with_counts(rollout.waves[0], counts)
        rollout = stops.record_shown(replace(rollout, waves=(wave,)))
        rollout = replace(rollout, revision=rollout.revision + 1)
    return rollout


def make_failing() -> Rollout:
    wave = make_wave(100, counts=Counts(updating=100), status=FAILED)
    return make_paused(wave, stops=(Stop(reason=WHY, revision=1, wave=0),))


def test_only_a_revision_with_more_failures_is_recorded() -> None:
    found = let_fail(make_failing(), 1, 1, 3, 2, 4)
    assert list_shown(found) == [(1, 1, False), (3, 3, False), (5, 4, False)]
    assert found.stops[0].shown[-1].mark == found.waves[0].sequence.mark()


def test_the_end_of_a_wave_is_recorded_without_another_failure() -> None:
    rollout = let_fail(make_failing(), 5)
    wave = with_counts(rollout.waves[0], Counts(completed=95, failed=5))
    found = stops.record_shown(replace(rollout, waves=(wave,)))
    assert list_shown(found) == [(1, 5, False), (2, 5, True)]
    assert stops.record_shown(found) == found


def test_the_first_and_the_latest_of_many_revisions_are_kept() -> None:
    found = let_fail(make_failing(), *range(1, 61))
    revisions = [revision for revision, _, _ in list_shown(found)]
    assert revisions == [1, *range(61 - (stops.MAX_SHOWN - 1), 61)]


def test_a_wave_has_ended_though_devices_of_frozen_strata_wait() -> None:
    for queued, ended in ((0, True), (1, False)):
        wave = make_stratified_wave(
            make_part(3, completed=2, queued=queued), make_part(queued=4), status=FAILED
        )
        rollout = freeze(make_stratified(wave, status=RolloutStatus.PAUSED), SMALL)
        rollout = replace(rollout, stops=(Stop(reason=WHY, revision=1, wave=0),))
        assert list_shown(stops.record_shown(rollout)) == [(1, 1, ended)]


def test_a_stopped_stratum_shows_its_own_failures() -> None:
    wave = make_stratified_wave(make_part(1, completed=2), make_part(4, 5, completed=1))
    rollout = make_stratified(wave, status=RolloutStatus.PAUSED)
    stopped = stops.add_stop(rollout, WHY, stratum=SMALL)
    assert (stopped.stops[0].stratum, stopped.stops[0].wave) == (SMALL, None)
    assert list_shown(stops.record_shown(stopped)) == [(1, 2, False)]


def test_an_operators_pause_shows_no_failures() -> None:
    rollout = make_paused(make_failed(failed=2), stops=(Stop(reason=WHY, revision=1),))
    assert not stops.has_failed_wave(rollout)
    assert stops.record_shown(rollout) is rollout


def fail_in(rollout: Rollout, stratum: int) -> Rollout:
    """Let one more device of a stratum fail."""
    gate = rollout.stratum_gates[stratum]
    sequence = gate.sequence.start()
    changed: StratumGate = replace(gate, sequence=sequence.fail(sequence.started))
    return frozen.change_gate(rollout, stratum, changed)


def test_a_frozen_stratum_shows_each_time_that_it_became_worse() -> None:
    wave = make_stratified_wave(make_part(1, completed=2), make_part(4, 5, completed=1))
    rollout = replace(freeze(make_stratified(wave), SMALL), revision=1)
    assert stops.record_shown(rollout) is rollout
    assert stops.record_shown(fail_in(rollout, LARGE)) == fail_in(rollout, LARGE)
    worse = fail_in(rollout, SMALL)
    found = stops.record_shown(worse).stratum_gates
    assert found[LARGE] == worse.stratum_gates[LARGE]
    assert found[SMALL].sequence == worse.stratum_gates[SMALL].sequence
    freeze_of_small = found[SMALL].frozen
    assert freeze_of_small is not None
    assert [(item.revision, item.failed) for item in freeze_of_small.shown] == [(1, 2), (2, 3)]
