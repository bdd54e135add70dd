"""When waves open, soak, complete and fail, and how a rollout ends."""

from dataclasses import replace
from typing import Any

import pytest

from functions.rollouts.model.rollback import RollbackDue, RolledBack
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import FailureGate, OnBreach, Strategy, percent
from functions.rollouts.model.target import TargetResolution
from functions.rollouts.model.wave import Counts, Wave, WaveStatus
from functions.rollouts.rollout import waves
from tests.functions.builders import NOON, at, make_rollout, make_wave

DONE = Counts(completed=10)
HALF = Strategy(success_share=percent(50))
# A gate that ten devices cannot breach, so that only the share decides.
LENIENT = FailureGate(acceptable=percent(98), unacceptable=percent(99), confidence=0.999)


def settle(*parts: Wave, **values: Any) -> Rollout:
    return waves.settle(make_rollout(*parts, **values), at(60))


def make_pending(size: int = 10, **values: Any) -> Wave:
    return make_wave(size, name="rest", status=WaveStatus.PENDING, started_at=None, **values)


def make_canary(counts: Counts, **values: Any) -> Wave:
    return make_wave(counts.total, name="canary", counts=counts, **values)


def list_statuses(rollout: Rollout) -> list[str]:
    return [wave.status.value for wave in rollout.waves]


def list_actions(rollout: Rollout) -> list[str]:
    return [event.action for event in rollout.audit.events]


# -- the start -------------------------------------------------------------------------------


def test_a_scheduled_rollout_starts_at_its_start_time() -> None:
    rollout = make_rollout(
        make_pending(), status=RolloutStatus.SCHEDULED, started_at=None, start_at=at(60)
    )
    assert waves.settle(rollout, at(59.999)) == rollout
    started = waves.settle(rollout, at(60))
    assert (started.status, started.started_at) == (RolloutStatus.RUNNING, at(60))
    assert list_statuses(started) == ["running"]
    assert list_actions(started) == ["started"]


def test_a_rollout_without_a_start_time_starts_at_once() -> None:
    started = settle(make_pending(), status=RolloutStatus.SCHEDULED, started_at=None)
    assert started.status is RolloutStatus.RUNNING


def test_a_rollout_does_not_start_while_its_target_is_resolved() -> None:
    rollout = make_rollout(
        make_pending(), status=RolloutStatus.SCHEDULED, resolution=TargetResolution(devices=10)
    )
    assert waves.settle(rollout, at(60)) is rollout


# -- opening ---------------------------------------------------------------------------------


def test_the_next_wave_opens_when_the_wave_before_reaches_its_success_share() -> None:
    below = settle(make_canary(Counts(updating=6, completed=4)), make_pending(), strategy=HALF)
    assert list_statuses(below) == ["running", "pending"]
    reached = settle(make_canary(Counts(updating=5, completed=5)), make_pending(), strategy=HALF)
    assert list_statuses(reached) == ["running", "running"]
    assert reached.waves[1].started_at == at(60)
    assert list_actions(reached) == ["waveOpened"]


def test_a_wave_whose_devices_all_ran_the_version_opens_the_next_at_once() -> None:
    ran = make_canary(Counts(skipped=3), already_running=3)
    rollout = settle(ran, make_wave(1, name="b", status=WaveStatus.PENDING))
    assert list_statuses(rollout) == ["completed", "running"]


@pytest.mark.parametrize(
    ("action", "status"),
    [(OnBreach.PAUSE, RolloutStatus.PAUSED), (OnBreach.CANCEL, RolloutStatus.CANCELLED)],
)
def test_a_wave_with_too_little_evidence_has_the_consequence_of_a_breach(
    action: OnBreach, status: RolloutStatus
) -> None:
    strategy = Strategy(failure_gate=FailureGate(on_breach=action))
    rollout = settle(make_canary(Counts(skipped=3)), make_pending(), strategy=strategy)
    assert (rollout.status, list_statuses(rollout)) == (status, ["failed", "pending"])
    assert rollout.status_reason is not None
    assert rollout.status_reason.code == "tooLittleEvidence"


def test_a_paused_rollout_opens_no_wave() -> None:
    rollout = settle(make_canary(DONE), make_pending(), status=RolloutStatus.PAUSED)
    assert list_statuses(rollout) == ["completed", "pending"]


def test_a_wave_with_approval_opens_only_when_it_is_approved() -> None:
    rollout = settle(make_canary(DONE), make_pending(approval=True))
    assert list_statuses(rollout) == ["completed", "pending"]
    assert rollout.status_reason is not None
    assert rollout.status_reason.code == "awaitingApproval"
    assert waves.awaiting_approval(rollout) == 1
    assert waves.settle(rollout, at(120)) == rollout
    first, second = rollout.waves
    approved = replace(rollout, waves=(first, replace(second, approved=True)))
    opened = waves.settle(approved, at(120))
    assert list_statuses(opened) == ["completed", "running"]
    assert opened.status_reason is None
    assert list_actions(opened) == ["waveCompleted", "approvalAsked", "waveOpened"]


def test_a_wave_waits_for_approval_only_after_the_wave_before() -> None:
    rollout = settle(make_canary(Counts(updating=1)), make_pending(approval=True))
    assert waves.awaiting_approval(rollout) is None
    assert rollout.status_reason is None


def test_the_first_wave_may_need_approval() -> None:
    rollout = settle(make_pending(approval=True))
    assert list_statuses(rollout) == ["pending"]
    assert waves.awaiting_approval(rollout) == 0


# -- soaking, completing ---------------------------------------------------------------------


def test_a_wave_is_soaking_while_its_last_devices_soak() -> None:
    soaking = settle(make_canary(Counts(soaking=2, completed=8)), make_pending())
    assert list_statuses(soaking) == ["soaking", "pending"]


def test_a_soaking_wave_runs_again_when_a_device_is_queued_again() -> None:
    wave = make_canary(Counts(queued=2, completed=8), status=WaveStatus.SOAKING)
    assert list_statuses(settle(wave, make_pending())) == ["running", "pending"]


def test_a_wave_whose_devices_all_completed_is_completed() -> None:
    rollout = settle(make_canary(DONE), make_pending())
    assert list_statuses(rollout) == ["completed", "running"]
    assert rollout.waves[0].ended_at == at(60)
    assert list_actions(rollout) == ["waveCompleted", "waveOpened"]


def test_settling_twice_changes_nothing_more() -> None:
    for counts in (DONE, Counts(completed=4, failed=6), Counts(updating=1), Counts(soaking=1)):
        once = settle(make_canary(counts), make_pending())
        assert waves.settle(once, at(90)) == once


# -- below the share -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "status"),
    [(OnBreach.PAUSE, RolloutStatus.PAUSED), (OnBreach.CANCEL, RolloutStatus.CANCELLED)],
)
def test_a_wave_that_ended_below_its_share_has_the_consequence_of_a_breach(
    action: OnBreach, status: RolloutStatus
) -> None:
    strategy = replace(HALF, failure_gate=replace(LENIENT, on_breach=action))
    rollout = settle(make_canary(Counts(completed=4, failed=6)), make_pending(), strategy=strategy)
    assert (rollout.status, list_statuses(rollout)) == (status, ["failed", "pending"])
    assert rollout.waves[0].ended_at == at(60)
    assert rollout.status_reason is not None
    assert rollout.status_reason.code == "successShare"
    assert "4 of 10 devices completed, 6 failed; 50% must complete, which is 5." in (
        rollout.status_reason.message
    )


def test_a_wave_that_reached_its_share_is_completed_despite_failures() -> None:
    strategy = replace(HALF, failure_gate=LENIENT)
    rollout = settle(make_canary(Counts(completed=5, failed=5)), make_pending(), strategy=strategy)
    assert list_statuses(rollout) == ["completed", "running"]


def test_a_last_wave_below_its_share_fails_the_rollout_for_any_on_breach() -> None:
    strategy = replace(HALF, failure_gate=replace(LENIENT, on_breach=OnBreach.ROLLBACK))
    rollout = settle(make_canary(Counts(completed=4, failed=6)), strategy=strategy)
    assert (rollout.status, rollout.ended_at) == (RolloutStatus.FAILED, at(60))
    assert list_statuses(rollout) == ["failed"]
    assert rollout.rollback is None
    assert rollout.status_reason is not None
    assert "4 of 10 devices completed" in rollout.status_reason.message


def test_one_failed_device_fails_a_rollout_with_a_success_share_of_all() -> None:
    strategy = Strategy(success_share=percent(100))
    rollout = settle(make_canary(Counts(completed=9, failed=1)), strategy=strategy)
    assert rollout.status is RolloutStatus.FAILED


def test_without_a_success_share_a_rollout_completes_with_failures_that_the_gate_allows() -> None:
    rollout = settle(make_canary(Counts(completed=9, failed=1)))
    assert rollout.status is RolloutStatus.COMPLETED


@pytest.mark.parametrize("ran", [0, 4])
def test_a_rollout_that_updated_none_of_its_devices_fails(ran: int) -> None:
    rollout = settle(make_canary(Counts(skipped=5), already_running=ran))
    assert (rollout.status, list_statuses(rollout)) == (RolloutStatus.FAILED, ["failed"])
    assert rollout.status_reason is not None
    assert rollout.status_reason.code == "tooLittleEvidence"


def test_a_rollout_whose_devices_all_ran_the_version_is_completed() -> None:
    rollout = settle(make_canary(Counts(skipped=5), already_running=5))
    assert rollout.status is RolloutStatus.COMPLETED


def test_a_rollout_that_updated_a_canary_completes_though_the_rest_was_skipped() -> None:
    rollout = settle(
        make_canary(DONE, status=WaveStatus.COMPLETED),
        make_wave(5, name="rest", counts=Counts(skipped=5)),
    )
    assert rollout.status is RolloutStatus.COMPLETED


# -- the gate --------------------------------------------------------------------------------


def test_failures_that_no_resume_acknowledged_stop_the_rollout() -> None:
    rollout = settle(make_canary(Counts(updating=10, failed=2)))
    assert rollout.status is RolloutStatus.PAUSED
    assert list_statuses(rollout) == ["failed"]


def test_a_breached_wave_ends_when_its_updating_devices_have_ended() -> None:
    breached = settle(make_canary(Counts(updating=1, failed=2)), make_pending())
    assert breached.waves[0].ended_at is None
    counts = Counts(completed=1, failed=2)
    over = replace(breached, waves=(replace(breached.waves[0], counts=counts), breached.waves[1]))
    later = waves.settle(over, at(90))
    assert (later.status, list_statuses(later)) == (RolloutStatus.PAUSED, ["failed", "pending"])
    assert later.waves[0].ended_at == at(90)
    assert waves.settle(later, at(120)) == later


# -- the end ---------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["queued", "updating", "soaking"])
def test_a_rollout_runs_until_its_last_device_has_ended(part: str) -> None:
    rollout = settle(make_canary(Counts(completed=9, **{part: 1})))
    assert (rollout.status, rollout.ended_at) == (RolloutStatus.RUNNING, None)


def test_a_rollout_whose_devices_all_completed_is_completed() -> None:
    rollout = settle(make_canary(DONE))
    assert (rollout.status, rollout.ended_at) == (RolloutStatus.COMPLETED, at(60))
    assert rollout.status_reason is not None
    assert rollout.status_reason.message == "10 of 10 devices completed."
    assert list_actions(rollout) == ["completed"]


def test_skipped_devices_do_not_fail_a_rollout() -> None:
    rollout = settle(make_canary(Counts(completed=1, skipped=9)))
    assert rollout.status is RolloutStatus.COMPLETED
    assert rollout.status_reason is not None
    assert "9 more were skipped" in rollout.status_reason.message


def test_the_last_wave_decides_how_the_rollout_ends() -> None:
    strategy = Strategy(success_share=percent(80), failure_gate=LENIENT)
    passed = make_canary(
        Counts(completed=5, failed=5), status=WaveStatus.FAILED, passed=True, ended_at=NOON
    )
    last = make_wave(10, name="rest", counts=Counts(completed=8, failed=2))
    assert settle(passed, last, strategy=strategy).status is RolloutStatus.COMPLETED
    last = make_wave(10, name="rest", counts=Counts(completed=7, failed=3))
    assert settle(passed, last, strategy=strategy).status is RolloutStatus.FAILED


def test_a_paused_rollout_ends_when_its_last_device_has_ended() -> None:
    assert settle(make_canary(DONE), status=RolloutStatus.PAUSED).status is RolloutStatus.COMPLETED


def test_a_cancelled_rollout_is_over_when_its_last_device_has_ended() -> None:
    cancelled = RolloutStatus.CANCELLED
    assert not settle(make_canary(Counts(updating=1, cancelled=9)), status=cancelled).is_over
    rollout = settle(make_canary(Counts(completed=1, cancelled=9)), status=cancelled)
    assert (rollout.status, rollout.ended_at) == (cancelled, at(60))
    assert rollout.audit.events[-1].message == "1 of 10 devices completed, 9 were cancelled."


def test_a_rollout_is_not_over_before_its_rollback_is_created() -> None:
    rollout = settle(
        make_canary(Counts(failed=2, cancelled=8)),
        status=RolloutStatus.CANCELLED,
        rollback=RollbackDue(),
    )
    assert not rollout.is_over
    created = replace(rollout, rollback=RolledBack("another"))
    assert waves.settle(created, at(90)).is_over


def test_a_rollout_that_is_over_is_not_changed() -> None:
    over = settle(make_canary(DONE))
    assert waves.settle(over, at(90)) is over
