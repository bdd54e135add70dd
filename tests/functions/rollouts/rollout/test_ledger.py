"""Changes of devices are counted at once, and the gate judges each failure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.device import moves
from functions.rollouts.model.block import Block, BlockSummary
from functions.rollouts.model.device_state import MOVES, DeviceState, ErrorCode, SkipReason
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollback import RollbackDue, RolledBack
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import FailureGate, OnBreach, Strategy, percent
from functions.rollouts.model.wave import Counts, WaveStatus, count
from functions.rollouts.rollout import breach, gate, ledger, waves
from tests.functions.builders import (
    at,
    counted,
    make_blocks,
    make_moment,
    make_rollout,
    make_update,
    make_wave,
)

UPDATING = DeviceState.ACCEPTED
STATES = list(DeviceState)
NEVER = FailureGate(acceptable=percent(98), unacceptable=percent(99), confidence=0.999)


def make_updates(*states: DeviceState) -> list[DeviceUpdate]:
    """Make updates that started in this order, but for those queued."""
    return [
        make_update(
            f"device-{number}",
            state=state,
            start_rank=None if state is DeviceState.QUEUED else number + 1,
            has_accepted=state is not DeviceState.QUEUED,
        )
        for number, state in enumerate(states)
    ]


def record(
    rollout: Rollout, before: Sequence[DeviceUpdate], after: Sequence[DeviceUpdate]
) -> Rollout:
    """Record the changes of all devices in one write, and judge the waves."""
    moment = make_moment(60, rollout=rollout)
    changed, _ = ledger.record_changes(moment, rollout, make_blocks(before), make_blocks(after))
    return waves.judge(changed, moment.now)


def make_updating(
    devices: int, healthy: int = 0, **values: Any
) -> tuple[Rollout, list[DeviceUpdate]]:
    """Make a rollout with one wave: `healthy` devices completed, the others updating."""
    updates = make_updates(*[DeviceState.COMPLETED] * healthy, *[UPDATING] * devices)
    rollout = make_rollout(make_wave(len(updates)), **values)
    return counted(rollout, updates), updates


def fail_last(updates: Sequence[DeviceUpdate], number: int) -> list[DeviceUpdate]:
    """Let the last `number` updates fail."""
    at_end = make_moment(60)
    first = len(updates) - number
    return [
        *updates[:first],
        *(moves.fail(at_end, item, ErrorCode.REPORTED, "bad") for item in updates[first:]),
    ]


# -- counters --------------------------------------------------------------------------------


@st.composite
def walks(draw: st.DrawFn) -> tuple[list[int], list[list[DeviceState]]]:
    """Draw the sizes of waves, and the states of all devices at each of a few moments."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    states = [draw(st.sampled_from(STATES)) for _ in range(sum(sizes))]
    moments = [states]
    for _ in range(draw(st.integers(1, 6))):
        states = [draw(st.sampled_from([state, *sorted(MOVES[state])])) for state in states]
        moments.append(states)
    return sizes, moments


@given(walks())
def test_counters_always_equal_the_number_of_devices_in_each_state(
    drawn: tuple[list[int], list[list[DeviceState]]],
) -> None:
    sizes, moments = drawn
    waves = [make_wave(size, name=f"w{number}") for number, size in enumerate(sizes)]
    wave_of = [number for number, size in enumerate(sizes) for _ in range(size)]
    updates = [
        make_update(f"device-{position}", wave=wave, state=moments[0][position])
        for position, wave in enumerate(wave_of)
    ]
    rollout = counted(make_rollout(*waves), updates)
    for states in moments[1:]:
        moved = [
            item if item.state is state else item._replace(state=state)
            for item, state in zip(updates, states, strict=True)
        ]
        rollout, updates = record(rollout, updates, moved), moved
        for wave in rollout.waves:
            mine = updates[wave.first : wave.first + wave.size]
            assert wave.counts == count(item.state for item in mine)
        assert rollout.counts.total == len(updates)


def test_devices_that_already_ran_the_version_are_counted_until_a_retry() -> None:
    updates = make_updates(*[DeviceState.QUEUED] * 3)
    rollout = counted(make_rollout(make_wave(3)), updates)
    skipped = [
        moves.skip(make_moment(60), updates[0], SkipReason.ALREADY_RUNNING, "runs it"),
        moves.skip(make_moment(60), updates[1], SkipReason.ALREADY_RUNNING, "runs it"),
        moves.skip(make_moment(60), updates[2], SkipReason.OFFLINE, "offline"),
    ]
    wave = record(rollout, updates, skipped).waves[0]
    assert (wave.counts.skipped, wave.already_running) == (3, 2)
    queued = skipped[0]._replace(state=DeviceState.QUEUED, skip_reason=None)
    again = record(replace(rollout, waves=(wave,)), skipped, [queued, *skipped[1:]]).waves[0]
    assert (again.counts.skipped, again.already_running) == (2, 1)


def test_a_block_without_changes_leaves_the_counters_unchanged() -> None:
    rollout, updates = make_updating(3)
    moment = make_moment(rollout=rollout)
    same, _ = ledger.record_changes(moment, rollout, make_blocks(updates), {}, [0])
    assert same.waves == rollout.waves
    assert same.block_summaries[0].revision == rollout.block_summaries[0].revision


def test_without_changes_the_same_rollout_is_returned() -> None:
    rollout, updates = make_updating(3)
    same, _ = ledger.record_changes(make_moment(), rollout, make_blocks(updates), {})
    assert same is rollout


# -- block summaries -------------------------------------------------------------------------


def test_a_block_summary_has_the_earliest_time_at_which_a_device_is_due() -> None:
    waiting = [
        make_update("a", not_before=at(300)),
        make_update("b", not_before=at(120)),
        make_update("c", state=DeviceState.COMPLETED),
    ]
    rollout = make_rollout(make_wave(3), revision=7)
    before = make_blocks([item._replace(not_before=None) for item in waiting])
    moment = make_moment(rollout=rollout)
    changed, _ = ledger.record_changes(moment, rollout, before, make_blocks(waiting))
    assert changed.block_summaries == (BlockSummary(at(120), 8),)


def test_a_block_whose_devices_have_ended_or_can_start_is_never_due() -> None:
    block = Block(0, (make_update(state=DeviceState.COMPLETED), make_update()))
    rollout = make_rollout(make_wave(2), block_summaries=(BlockSummary(at(0), 3),))
    observed, _ = ledger.record_changes(make_moment(), rollout, {0: block}, {}, [0])
    assert observed.block_summaries == (BlockSummary(None, 3),)


# -- the gate --------------------------------------------------------------------------------


def test_the_rollout_is_paused_at_the_failure_that_breaches_the_gate() -> None:
    """Compare 2 failed devices of 19, which breach the gate, with 2 of 20, which do not."""
    rollout, updates = make_updating(2, healthy=18)
    assert record(rollout, updates, fail_last(updates, 2)).status is RolloutStatus.RUNNING
    rollout, updates = make_updating(2, healthy=17)
    breached = record(rollout, updates, fail_last(updates, 2))
    assert breached.status is RolloutStatus.PAUSED
    assert breached.waves[0].status is WaveStatus.FAILED
    assert breached.status_reason is not None
    assert breached.status_reason.code == gate.CODE
    assert "2 of its first 19 devices failed" in breached.status_reason.message


def test_failures_breach_the_gate_whatever_ends_beside_them() -> None:
    updates = make_updates(*[UPDATING] * 40)
    rollout = counted(make_rollout(make_wave(40)), updates)
    completed = [item._replace(state=DeviceState.COMPLETED) for item in updates[2:]]
    after = [*fail_last(updates[:2], 2), *completed]
    breached = record(rollout, updates, after)
    assert breached.status is RolloutStatus.PAUSED
    assert breached.waves[0].counts.completed == 38


def test_the_reason_names_the_worst_of_the_first_devices() -> None:
    updates = make_updates(*[UPDATING] * 30)
    rollout = counted(make_rollout(make_wave(30)), updates)
    after = [*fail_last(updates[:3], 3), *updates[3:29], *fail_last(updates[29:], 1)]
    reason = record(rollout, updates, after).status_reason
    assert reason is not None
    assert "3 of its first 3 devices failed" in reason.message


def test_a_device_that_fails_during_its_soak_no_longer_counts_as_healthy() -> None:
    updates = make_updates(DeviceState.FAILED, *[DeviceState.SOAKING] * 18)
    rollout = counted(make_rollout(make_wave(19)), updates)
    breached = record(rollout, updates, fail_last(updates, 1))
    assert breached.waves[0].counts.healthy == 17
    assert breached.status is RolloutStatus.PAUSED


def test_each_wave_is_judged_separately() -> None:
    first, second = make_updates(UPDATING, UPDATING)
    updates = [first, second._replace(wave=1)]
    rollout = counted(make_rollout(make_wave(1, name="a"), make_wave(1, name="b")), updates)
    assert record(rollout, updates, fail_last(updates, 2)).status is RolloutStatus.RUNNING


def test_an_acknowledged_device_that_is_retried_and_fails_again_counts() -> None:
    updates = make_updates(DeviceState.FAILED, DeviceState.FAILED)
    rollout = counted(make_rollout(make_wave(2, acknowledged_failed=2)), updates)
    wave = rollout.waves[0]
    known = replace(rollout, waves=(replace(wave, sequence=wave.sequence.restart()),))
    queued = [item._replace(state=DeviceState.QUEUED) for item in updates]
    again = record(known, updates, queued)
    assert again.status is RolloutStatus.RUNNING
    assert again.waves[0].acknowledged_failed == 0
    assert record(again, queued, fail_last(queued, 2)).status is RolloutStatus.PAUSED


def test_a_cancelled_rollout_keeps_its_status_and_reason() -> None:
    why = Reason(code="cancelled", message="by anna")
    rollout, updates = make_updating(3, status=RolloutStatus.CANCELLED, status_reason=why)
    after = record(rollout, updates, fail_last(updates, 3))
    assert (after.status, after.status_reason) == (RolloutStatus.CANCELLED, why)
    assert after.audit.events == ()
    assert after.waves[0].counts.failed == 3


def test_a_gate_is_judged_while_the_rollout_is_paused() -> None:
    why = Reason(code="paused", message="by anna")
    rollout, updates = make_updating(3, status=RolloutStatus.PAUSED, status_reason=why)
    after = record(rollout, updates, fail_last(updates, 3))
    assert after.status is RolloutStatus.PAUSED
    assert after.status_reason is not None
    assert after.status_reason.code == "failureGate"
    assert [event.action for event in after.audit.events] == ["waveFailed"]


def test_a_wave_that_has_failed_is_not_judged_again_before_a_resume() -> None:
    rollout, updates = make_updating(5)
    once = record(rollout, updates, fail_last(updates, 2))
    changed = fail_last(updates, 2)
    twice = record(once, changed, fail_last(changed[:3], 3) + changed[3:])
    assert (twice.status_reason, twice.stops) == (once.status_reason, once.stops)
    assert twice.waves[0].counts.failed == 5


def test_a_message_after_an_acknowledgement_says_since_when_it_counts() -> None:
    counts = Counts(completed=253, failed=3, updating=2, queued=42)
    wave = make_wave(300, counts=counts, acknowledged_failed=3, acknowledged_at=at(60))
    again = wave.sequence.restart().fail(257).fail(258)
    reason = breach.find_breach(make_rollout(wave), replace(wave, sequence=again))
    assert reason is not None
    assert "2 of its first 2 devices failed (100%)" in reason.message
    assert reason.message.endswith(
        "Counted since the resume at 2026-11-23T12:01:00Z: the devices in flight then"
        " come first, and 3 failures before it are acknowledged."
    )


@pytest.mark.parametrize(
    ("action", "status", "due"),
    [
        (OnBreach.PAUSE, RolloutStatus.PAUSED, False),
        (OnBreach.CANCEL, RolloutStatus.CANCELLED, False),
        (OnBreach.ROLLBACK, RolloutStatus.CANCELLED, True),
    ],
)
def test_a_breach_has_the_consequence_that_the_strategy_names(
    action: OnBreach, status: RolloutStatus, due: bool
) -> None:
    strategy = Strategy(failure_gate=FailureGate(on_breach=action))
    rollout, updates = make_updating(2, strategy=strategy)
    breached = record(rollout, updates, fail_last(updates, 2))
    assert breached.status is status
    assert breach.is_rollback_due(breached) is due
    assert [event.action for event in breached.audit.events] == [status.value]


def test_a_rollback_is_due_until_it_is_created() -> None:
    assert breach.is_rollback_due(make_rollout(rollback=RollbackDue("an-id")))
    assert not breach.is_rollback_due(make_rollout(rollback=RolledBack("an-id")))


# -- how long devices take -------------------------------------------------------------------


def test_the_duration_of_a_device_that_reported_its_end_is_measured() -> None:
    updating = make_update(state=UPDATING, dispatched_at=at(10))
    rollout = counted(make_rollout(), [updating])
    ended = moves.move(make_moment(70), updating, DeviceState.COMPLETED, "done")
    after = record(rollout, [updating], [ended])
    assert (after.measured.finished, after.measured.finish_seconds) == (1, 60.0)


@pytest.mark.parametrize("code", [ErrorCode.TIMED_OUT, ErrorCode.WENT_DARK, ErrorCode.REJECTED])
def test_a_failure_that_the_device_did_not_report_is_not_measured(
    code: ErrorCode,
) -> None:
    updating = make_update(state=UPDATING, dispatched_at=at(0), firmware_status="downloading")
    rollout = counted(make_rollout(strategy=Strategy(failure_gate=NEVER)), [updating])
    late = moves.fail(make_moment(3600), updating, code, "too late")
    assert record(rollout, [updating], [late]).measured.finished == 0


def test_the_duration_of_a_device_does_not_include_its_soak() -> None:
    soaking = make_update(state=DeviceState.SOAKING, dispatched_at=at(0))
    rollout = counted(make_rollout(strategy=Strategy(soak=timedelta(hours=1))), [soaking])
    ended = moves.move(make_moment(3700), soaking, DeviceState.COMPLETED, "done")
    assert record(rollout, [soaking], [ended]).measured.finished == 0
