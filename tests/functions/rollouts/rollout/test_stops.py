"""What pauses a rollout, and what a resume acknowledges of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import Strategy, percent
from functions.rollouts.model.wave import Counts, WaveStatus
from functions.rollouts.rollout import operator_commands, stops, waves
from functions.rollouts.rollout.operator_commands import Caller, NotAllowedError
from tests.functions.builders import at, make_rollout, make_wave, with_counts

ADA = Caller("ada")
RUNNING, PAUSED = RolloutStatus.RUNNING, RolloutStatus.PAUSED
STRATEGY = Strategy(success_share=percent(50))


def store(rollout: Rollout, counts: Counts | None = None, wave: int = 0) -> Rollout:
    """Settle the rollout with these counts, and store it as a commit does."""
    if counts is not None:
        changed = list(rollout.waves)
        changed[wave] = with_counts(changed[wave], counts)
        rollout = replace(rollout, waves=tuple(changed))
    return replace(waves.settle(rollout, at(9)), revision=rollout.revision + 1)


def make_canary(counts: Counts) -> Rollout:
    return make_rollout(
        make_wave(20, name="canary", counts=counts),
        make_wave(10, name="rest", status=WaveStatus.PENDING),
        strategy=STRATEGY,
    )


def pause(rollout: Rollout) -> Rollout:
    return store(operator_commands.pause(rollout, at(1), ADA))


def resume(rollout: Rollout, revision: int | None = None) -> Rollout:
    return store(operator_commands.resume(rollout, at(8), ADA, revision))


def test_a_resume_acknowledges_later_failures_of_the_wave_that_paused_the_rollout() -> None:
    rollout = store(make_canary(Counts(updating=18, failed=2)))
    rollout = store(rollout, Counts(updating=12, completed=3, failed=5))
    resumed = resume(rollout)
    canary = resumed.waves[0]
    assert (resumed.status, canary.acknowledged_failed) == (RUNNING, 5)
    assert not canary.sequence.failures


def test_a_resume_acknowledges_only_the_failures_that_its_revision_showed() -> None:
    rollout = store(make_canary(Counts(updating=18, failed=2)))
    read = rollout.revision
    rollout = store(rollout, Counts(updating=17, failed=3))
    assert resume(rollout, read).waves[0].acknowledged_failed == 2
    assert resume(rollout, read).status is RUNNING
    rollout = store(rollout, Counts(updating=15, failed=5))
    again = resume(rollout, read)
    assert (again.status, again.waves[0].status) == (PAUSED, WaveStatus.FAILED)
    assert again.status_reason is not None
    assert "3 of its first 18 devices failed" in again.status_reason.message


def test_a_resume_does_not_pass_a_wave_whose_end_was_not_shown() -> None:
    rollout = store(make_canary(Counts(updating=18, failed=2)))
    read = rollout.revision
    rollout = store(rollout, Counts(completed=9, failed=11))
    again = resume(rollout, read)
    assert (again.status, again.waves[1].status) == (PAUSED, WaveStatus.PENDING)
    passed = resume(again, again.revision)
    assert (passed.status, passed.waves[1].status) == (RUNNING, WaveStatus.RUNNING)


def test_a_resume_does_not_end_a_pause_that_came_after_its_revision() -> None:
    first = pause(make_canary(Counts(updating=20)))
    second = pause(resume(first))
    kept = resume(second, first.revision)
    assert kept.status is PAUSED
    assert kept.status_reason is not None
    assert "resume again to go on" in kept.status_reason.message
    assert resume(kept, kept.revision).status is RUNNING
    assert [event.action for event in kept.audit.events][-2:] == ["resumed", "paused"]


def test_a_breach_of_a_second_wave_needs_a_resume_of_its_own() -> None:
    rollout = make_rollout(
        make_wave(20, name="one", counts=Counts(updating=18, failed=2)),
        make_wave(20, name="two", counts=Counts(updating=20)),
        strategy=STRATEGY,
    )
    rollout = store(store(rollout), Counts(updating=18, failed=2), wave=1)
    once = resume(rollout)
    assert [wave.status for wave in once.waves] == [WaveStatus.RUNNING, WaveStatus.FAILED]
    assert once.status is PAUSED
    assert resume(once).status is RUNNING


def test_a_revision_that_was_not_shown_yet_is_refused() -> None:
    rollout = pause(make_canary(Counts(updating=20)))
    with pytest.raises(NotAllowedError, match="Revision 99 was not shown yet"):
        operator_commands.resume(rollout, at(2), ADA, 99)


def test_a_breached_last_wave_waits_though_its_share_is_reached() -> None:
    wave = make_wave(20, counts=Counts(updating=18, failed=2))
    rollout = store(make_rollout(wave, strategy=STRATEGY))
    rollout = store(rollout, Counts(completed=18, failed=2))
    assert (rollout.status, rollout.is_over) == (PAUSED, False)
    ended = resume(rollout)
    assert (ended.status, ended.is_over) == (RolloutStatus.COMPLETED, True)


def test_a_paused_rollout_whose_last_wave_ends_below_its_share_fails() -> None:
    wave = make_wave(20, counts=Counts(updating=18, failed=2))
    rollout = store(make_rollout(wave, strategy=STRATEGY))
    assert store(rollout, Counts(completed=2, failed=18)).status is RolloutStatus.FAILED


def test_a_rollout_that_is_not_paused_has_no_stops() -> None:
    rollout = pause(make_canary(Counts(updating=20)))
    assert rollout.stops
    assert not operator_commands.cancel(rollout, at(2), ADA).stops


growths = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=70)


@given(growths, st.integers(0, 100))
def test_a_resume_never_acknowledges_more_than_its_revision_showed(
    growth: list[tuple[int, int]], revision: int
) -> None:
    """Let a wave become worse while the rollout is paused, and resume with any revision."""
    total = 500
    rollout = pause(
        make_rollout(make_wave(total, counts=Counts(updating=total)), strategy=STRATEGY)
    )
    shown = {rollout.revision: (0, 0)}
    failed = healthy = 0
    for more_failed, more_healthy in growth:
        failed, healthy = failed + more_failed, healthy + more_healthy
        counts = Counts(updating=total - failed - healthy, failed=failed, completed=healthy)
        rollout = store(rollout, counts)
        shown[rollout.revision] = (failed, healthy)
        assert all(len(stop.shown) <= stops.MAX_SHOWN for stop in rollout.stops)
    revision = min(revision, rollout.revision)
    resumed = operator_commands.resume(rollout, at(8), ADA, revision)
    wave = resumed.waves[0]
    known = max(number for number in (*shown, 0) if number <= revision) if revision else 0
    assert wave.acknowledged_failed <= shown.get(known, (0, 0))[0]
    if any(stop.revision > revision for stop in rollout.stops):
        assert resumed.status is PAUSED
    elif wave.status is WaveStatus.RUNNING and revision == rollout.revision and rollout.stops[1:]:
        assert wave.acknowledged_failed == failed
