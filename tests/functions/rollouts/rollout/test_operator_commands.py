"""The effects of each operator command, and when it is refused."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from functions.rollouts.device import cancelling
from functions.rollouts.model.device_state import DeviceState
from functions.rollouts.model.rollback import RollbackDue
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.target import TargetResolution
from functions.rollouts.model.wave import Counts, WaveStatus
from functions.rollouts.rollout import operator_commands, waves
from functions.rollouts.rollout.operator_commands import Caller, NotAllowedError
from functions.rollouts.rollout.permission import obstacle
from tests.functions.builders import (
    NOON,
    at,
    make_moment,
    make_rollout,
    make_update,
    make_wave,
    with_counts,
)

ANNA = Caller("anna")
ANNA_WITH_REASON = Caller("anna", "lunch")
RUNNING, PAUSED, SCHEDULED = RolloutStatus.RUNNING, RolloutStatus.PAUSED, RolloutStatus.SCHEDULED
COMPLETED, FAILED = RolloutStatus.COMPLETED, RolloutStatus.FAILED
type Command = Callable[[Rollout, datetime, Caller], Rollout]

ALLOWED: list[tuple[Command, set[RolloutStatus]]] = [
    (operator_commands.pause, {SCHEDULED, RUNNING}),
    (operator_commands.resume, {PAUSED}),
    (operator_commands.cancel, {SCHEDULED, RUNNING, PAUSED}),
    (operator_commands.approve, {RUNNING}),
]


def make_rollout_for_commands(status: RolloutStatus) -> Rollout:
    """Make a rollout with a failed device to retry and a wave to approve."""
    return make_rollout(
        make_wave(2, name="canary", counts=Counts(completed=1, failed=1), passed=True),
        make_wave(2, name="rest", status=WaveStatus.PENDING, approval=True),
        status=status,
        ended_at=NOON if status in {COMPLETED, FAILED, RolloutStatus.CANCELLED} else None,
    )


@pytest.mark.parametrize("status", RolloutStatus)
@pytest.mark.parametrize(("command", "allowed"), ALLOWED)
def test_a_command_is_refused_in_all_statuses_but_the_allowed_ones(
    command: Command, allowed: set[RolloutStatus], status: RolloutStatus
) -> None:
    rollout = make_rollout_for_commands(status)
    if status in allowed:
        changed = command(rollout, at(1), ANNA)
        assert changed.audit.events[-1].by == "anna"
        assert changed.audit.event_count == rollout.audit.event_count + 1
    else:
        with pytest.raises(NotAllowedError, match=status.value):
            command(rollout, at(1), ANNA)


# -- pause and resume ------------------------------------------------------------------------


def test_a_paused_rollout_starts_no_device_and_has_the_caller_and_reason() -> None:
    rollout = operator_commands.pause(make_rollout(), at(1), ANNA_WITH_REASON)
    assert rollout.status is PAUSED
    assert obstacle(rollout, 0, at(1)) is not None
    assert rollout.status_reason is not None
    assert rollout.status_reason.message == "Paused by anna: lunch"


def test_resuming_after_an_operators_pause_leaves_the_waves_unchanged() -> None:
    before = make_rollout(make_wave(5, counts=Counts(queued=4, failed=1)))
    rollout = operator_commands.resume(operator_commands.pause(before, at(1), ANNA), at(2), ANNA)
    assert (rollout.status, rollout.status_reason) == (RUNNING, None)
    assert rollout.waves == before.waves
    assert "acknowledged" not in rollout.audit.events[-1].message


def make_breached(counts: Counts) -> Rollout:
    wave = make_wave(counts.total, name="canary", counts=counts)
    rest = make_wave(10, name="rest", status=WaveStatus.PENDING)
    rollout = waves.settle(make_rollout(wave, rest), at(1))
    assert rollout.status is PAUSED
    return rollout


def test_resuming_after_a_breach_acknowledges_the_known_failures() -> None:
    rollout = operator_commands.resume(
        make_breached(Counts(queued=7, completed=1, failed=2)), at(2), ANNA
    )
    wave = rollout.waves[0]
    assert (wave.status, wave.acknowledged_failed) == (WaveStatus.RUNNING, 2)
    assert not wave.sequence.failures
    assert "2 known failures acknowledged" in rollout.audit.events[-1].message
    assert waves.settle(rollout, at(3)).status is RUNNING


def test_after_a_resume_only_new_failures_count() -> None:
    rollout = operator_commands.resume(
        make_breached(Counts(queued=7, completed=1, failed=2)), at(2), ANNA
    )
    for failed, status in ((3, RUNNING), (4, PAUSED)):
        counts = Counts(queued=9 - failed, completed=1, failed=failed)
        canary = with_counts(rollout.waves[0], counts)
        later = replace(rollout, waves=(canary, rollout.waves[1]))
        assert waves.settle(later, at(3)).status is status


def test_resuming_after_a_wave_ended_below_its_share_opens_the_next_wave() -> None:
    ended = make_breached(Counts(completed=8, failed=2))
    rollout = waves.settle(operator_commands.resume(ended, at(2), ANNA), at(2))
    assert [wave.status for wave in rollout.waves] == [WaveStatus.FAILED, WaveStatus.RUNNING]
    assert rollout.waves[0].passed
    assert waves.settle(rollout, at(3)) == rollout


# -- cancel ----------------------------------------------------------------------------------


def test_a_cancelled_rollout_is_not_over_before_its_devices_have_ended() -> None:
    rollout = operator_commands.cancel(make_rollout(), at(1), ANNA_WITH_REASON)
    assert (rollout.status, rollout.ended_at) == (RolloutStatus.CANCELLED, None)
    assert rollout.status_reason is not None
    assert rollout.status_reason.message == "Cancelled by anna: lunch"


def test_a_rollout_cancelled_while_its_target_is_resolved_is_over() -> None:
    unresolved = replace(
        make_rollout(status=SCHEDULED),
        waves=(),
        block_summaries=(),
        resolution=TargetResolution(devices=7),
    )
    rollout = operator_commands.cancel(unresolved, at(1), ANNA)
    assert (rollout.ended_at, rollout.resolution) == (at(1), None)


def test_only_queued_devices_are_cancelled() -> None:
    for state in DeviceState:
        update = make_update(state=state)
        after = cancelling.cancel_queued(make_moment(5), update)
        if state is DeviceState.QUEUED:
            assert (after.state, after.ended_at) == (DeviceState.CANCELLED, at(5))
        else:
            assert after is update


# -- approve ---------------------------------------------------------------------------------


def test_an_approval_opens_the_waiting_wave() -> None:
    rollout = operator_commands.approve(make_rollout_for_commands(RUNNING), at(1), ANNA_WITH_REASON)
    assert rollout.waves[1].approved
    assert rollout.audit.events[-1].message == "Wave rest approved by anna: lunch"
    assert waves.settle(rollout, at(2)).waves[1].status is WaveStatus.RUNNING


def test_a_wave_cannot_be_approved_before_it_waits_for_approval() -> None:
    early = make_rollout(
        make_wave(2, name="canary"),
        make_wave(2, name="rest", status=WaveStatus.PENDING, approval=True),
    )
    with pytest.raises(NotAllowedError, match="no wave waits"):
        operator_commands.approve(early, at(1), ANNA)


def test_a_wave_cannot_be_approved_twice() -> None:
    rollout = waves.settle(
        operator_commands.approve(make_rollout_for_commands(RUNNING), at(1), ANNA), at(1)
    )
    with pytest.raises(NotAllowedError):
        operator_commands.approve(rollout, at(2), ANNA)


# -- roll back -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [RUNNING, PAUSED])
def test_a_rollback_cancels_the_rollout_and_is_its_reason(status: RolloutStatus) -> None:
    rollout = operator_commands.roll_back(
        make_rollout_for_commands(status), at(1), ANNA, "the-rollback"
    )
    assert rollout.status is RolloutStatus.CANCELLED
    assert rollout.status_reason is not None
    assert rollout.status_reason.code == "rolledBack"
    assert "anna" in rollout.status_reason.message
    assert rollout.rollback == RollbackDue("the-rollback")


def test_a_rollback_of_an_ended_or_cancelled_rollout_keeps_its_reason() -> None:
    over = make_rollout(status=RolloutStatus.COMPLETED, ended_at=at(0))
    cancelled = operator_commands.cancel(make_rollout_for_commands(RUNNING), at(1), ANNA)
    for before in (over, cancelled):
        rollout = operator_commands.roll_back(before, at(2), ANNA, "the-rollback")
        assert (rollout.status, rollout.status_reason) == (before.status, before.status_reason)
