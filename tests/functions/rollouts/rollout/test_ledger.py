"""Whatever happens to devices is counted at once, and at each failure the gate is asked."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.rollouts.device import moves
from functions.rollouts.model.block import Block, BlockSummary
from functions.rollouts.model.device_state import MOVES, DeviceState, ErrorCode
from functions.rollouts.model.device_update import DeviceUpdate
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollback import RollbackDue, RolledBack
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.strategy import FailureGate, OnBreach, Strategy, percent
from functions.rollouts.model.wave import WaveStatus, count
from functions.rollouts.rollout import breach, gate, ledger
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


def fleet(*states: DeviceState) -> list[DeviceUpdate]:
    return [make_update(f"device-{number}", state=state) for number, state in enumerate(states)]


def booked(
    rollout: Rollout, before: Sequence[DeviceUpdate], after: Sequence[DeviceUpdate]
) -> Rollout:
    """All devices' changes, booked in one."""
    moment = make_moment(60, rollout=rollout)
    return ledger.record_changes(moment, rollout, make_blocks(before), make_blocks(after))


def failing(devices: int, healthy: int = 0, **values: Any) -> tuple[Rollout, list[DeviceUpdate]]:
    """A rollout of one wave: some completed, the others updating."""
    updates = fleet(*[DeviceState.COMPLETED] * healthy, *[UPDATING] * devices)
    rollout = make_rollout(make_wave(len(updates)), **values)
    return counted(rollout, updates), updates


def failed(updates: Sequence[DeviceUpdate], number: int) -> list[DeviceUpdate]:
    """The last so many of them failed."""
    at_end = make_moment(60)
    first = len(updates) - number
    return [
        *updates[:first],
        *(moves.fail(at_end, item, ErrorCode.REPORTED, "bad") for item in updates[first:]),
    ]


# -- counters --------------------------------------------------------------------------------


@st.composite
def walks(draw: st.DrawFn) -> tuple[list[int], list[list[DeviceState]]]:
    """Wave sizes, and the states of all devices at each of a few moments."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    states = [draw(st.sampled_from(STATES)) for _ in range(sum(sizes))]
    moments = [states]
    for _ in range(draw(st.integers(1, 6))):
        states = [draw(st.sampled_from([state, *sorted(MOVES[state])])) for state in states]
        moments.append(states)
    return sizes, moments


@given(walks())
def test_counters_are_those_of_the_stored_states_whatever_happens(
    drawn: tuple[list[int], list[list[DeviceState]]],
) -> None:
    sizes, moments = drawn
    waves = [make_wave(size, name=f"w{number}") for number, size in enumerate(sizes)]
    wave_of = [number for number, size in enumerate(sizes) for _ in range(size)]
    updates = [
        make_update(f"device-{place}", wave=wave, state=moments[0][place])
        for place, wave in enumerate(wave_of)
    ]
    rollout = counted(make_rollout(*waves), updates)
    for states in moments[1:]:
        moved = [
            item if item.state is state else item._replace(state=state)
            for item, state in zip(updates, states, strict=True)
        ]
        rollout, updates = booked(rollout, updates, moved), moved
        for wave in rollout.waves:
            mine = updates[wave.first : wave.first + wave.size]
            assert wave.counts == count(item.state for item in mine)
        assert rollout.counts.total == len(updates)


def test_a_block_that_was_only_looked_at_leaves_the_counters_alone() -> None:
    rollout, updates = failing(3)
    moment = make_moment(rollout=rollout)
    same = ledger.record_changes(moment, rollout, make_blocks(updates), {}, [0])
    assert same.waves == rollout.waves
    assert same.block_summaries[0].revision == rollout.block_summaries[0].revision


def test_nothing_to_book_is_no_change() -> None:
    rollout, updates = failing(3)
    assert ledger.record_changes(make_moment(), rollout, make_blocks(updates), {}) is rollout


# -- marks -----------------------------------------------------------------------------------


def test_the_mark_says_when_the_first_of_a_blocks_devices_wants_a_look() -> None:
    waiting = [
        make_update("a", not_before=at(300)),
        make_update("b", not_before=at(120)),
        make_update("c", state=DeviceState.COMPLETED),
    ]
    rollout = make_rollout(make_wave(3), revision=7)
    before = make_blocks([item._replace(not_before=None) for item in waiting])
    moment = make_moment(rollout=rollout)
    changed = ledger.record_changes(moment, rollout, before, make_blocks(waiting))
    assert changed.block_summaries == (BlockSummary(at(120), 8),)


def test_a_block_without_anything_to_wait_for_has_no_look() -> None:
    block = Block(0, (make_update(state=DeviceState.COMPLETED), make_update()))
    rollout = make_rollout(make_wave(2), block_summaries=(BlockSummary(at(0), 3),))
    looked = ledger.record_changes(make_moment(), rollout, {0: block}, {}, [0])
    assert looked.block_summaries == (BlockSummary(None, 3),)


# -- the gate --------------------------------------------------------------------------------


def test_the_gate_is_asked_at_the_very_failure_that_breaches_it() -> None:
    """2 failed of 19 breach, 2 of 20 do not."""
    rollout, updates = failing(2, healthy=18)
    assert booked(rollout, updates, failed(updates, 2)).status is RolloutStatus.RUNNING
    rollout, updates = failing(2, healthy=17)
    breached = booked(rollout, updates, failed(updates, 2))
    assert breached.status is RolloutStatus.PAUSED
    assert breached.waves[0].status is WaveStatus.FAILED
    assert breached.status_reason is not None
    assert breached.status_reason.code == gate.CODE
    assert "2 of 19 finished devices failed" in breached.status_reason.message


def test_the_gate_is_asked_between_the_failures_and_successes_of_one_booking() -> None:
    """Successes booked later in the same write do not hide a breach that came first."""
    updates = fleet(*[UPDATING] * 40)
    rollout = counted(make_rollout(make_wave(40)), updates)
    completed = [item._replace(state=DeviceState.COMPLETED) for item in updates[2:]]
    after = [*failed(updates[:2], 2), *completed]
    breached = booked(rollout, updates, after)
    assert breached.status is RolloutStatus.PAUSED
    assert breached.waves[0].counts.completed == 38


def test_the_reason_is_that_of_the_first_failure_that_breached() -> None:
    rollout, updates = failing(5)
    reason = booked(rollout, updates, failed(updates, 5)).status_reason
    assert reason is not None
    assert "2 of 2 finished devices failed" in reason.message


def test_behind_waived_devices_the_gate_begins_afresh() -> None:
    """A hundred healthy devices from before a resume do not hide two failures after it."""
    rollout, updates = failing(2, healthy=100)
    afresh = replace(rollout, waves=(replace(rollout.waves[0], acknowledged_healthy=100),))
    assert booked(rollout, updates, failed(updates, 2)).status is RolloutStatus.RUNNING
    assert booked(afresh, updates, failed(updates, 2)).status is RolloutStatus.PAUSED


def test_a_device_that_fails_in_its_soak_flips_its_count_and_the_gate_is_asked_again() -> None:
    updates = fleet(DeviceState.FAILED, *[DeviceState.SOAKING] * 18)
    rollout = counted(make_rollout(make_wave(19)), updates)
    breached = booked(rollout, updates, failed(updates, 1))
    assert breached.waves[0].counts.healthy == 17
    assert breached.status is RolloutStatus.PAUSED


def test_each_wave_has_a_gate_of_its_own() -> None:
    updates = [item._replace(wave=number % 2) for number, item in enumerate(fleet(*[UPDATING] * 2))]
    rollout = counted(make_rollout(make_wave(1, name="a"), make_wave(1, name="b")), updates)
    assert booked(rollout, updates, failed(updates, 2)).status is RolloutStatus.RUNNING


def test_waived_failures_are_left_out_and_new_ones_are_not() -> None:
    rollout, _ = failing(2)
    waived = replace(rollout.waves[0], acknowledged_failed=2)
    known = replace(rollout, waves=(waived,))
    reason = ledger.gate_reason(known, waived, replace(waived.counts, failed=3))
    assert reason is None
    assert ledger.gate_reason(known, waived, replace(waived.counts, failed=4)) is not None


def test_a_waived_device_that_is_queued_again_counts_when_it_fails_once_more() -> None:
    updates = fleet(DeviceState.FAILED, DeviceState.FAILED)
    rollout = counted(make_rollout(make_wave(2, acknowledged_failed=2)), updates)
    queued = [item._replace(state=DeviceState.QUEUED) for item in updates]
    again = booked(rollout, updates, queued)
    assert again.waves[0].acknowledged_failed == 0
    assert booked(again, queued, failed(queued, 2)).status is RolloutStatus.PAUSED


@pytest.mark.parametrize("status", [RolloutStatus.PAUSED, RolloutStatus.CANCELLED])
def test_a_rollout_that_has_stopped_is_not_stopped_again(status: RolloutStatus) -> None:
    why = Reason(code=status.value, message="by anna")
    rollout, updates = failing(3, status=status, status_reason=why)
    after = booked(rollout, updates, failed(updates, 3))
    assert (after.status, after.status_reason, after.audit.events) == (status, why, ())
    assert after.waves[0].counts.failed == 3


@pytest.mark.parametrize(
    ("action", "status", "due"),
    [
        (OnBreach.PAUSE, RolloutStatus.PAUSED, False),
        (OnBreach.CANCEL, RolloutStatus.CANCELLED, False),
        (OnBreach.ROLLBACK, RolloutStatus.CANCELLED, True),
    ],
)
def test_a_breach_does_what_the_strategy_says(
    action: OnBreach, status: RolloutStatus, due: bool
) -> None:
    strategy = Strategy(failure_gate=FailureGate(on_breach=action))
    rollout, updates = failing(2, strategy=strategy)
    breached = booked(rollout, updates, failed(updates, 2))
    assert breached.status is status
    assert breach.rollback_is_due(breached) is due
    assert [event.action for event in breached.audit.events] == [status.value]


def test_a_rollback_is_due_until_it_is_created() -> None:
    assert breach.rollback_is_due(make_rollout(rollback=RollbackDue("an-id")))
    assert not breach.rollback_is_due(make_rollout(rollback=RolledBack("an-id")))


# -- how long devices take -------------------------------------------------------------------


def test_the_time_of_devices_that_reported_their_end_is_kept() -> None:
    asked = make_update(state=UPDATING, dispatched_at=at(10))
    rollout = counted(make_rollout(), [asked])
    ended = moves.move(make_moment(70), asked, DeviceState.COMPLETED, "done")
    after = booked(rollout, [asked], [ended])
    assert (after.measured.finished, after.measured.finish_seconds) == (1, 60.0)


@pytest.mark.parametrize("code", [ErrorCode.TIMED_OUT, ErrorCode.WENT_DARK, ErrorCode.REJECTED])
def test_a_failure_that_the_device_did_not_report_says_nothing_of_its_speed(
    code: ErrorCode,
) -> None:
    asked = make_update(state=UPDATING, dispatched_at=at(0), firmware_status="downloading")
    rollout = counted(make_rollout(strategy=Strategy(failure_gate=NEVER)), [asked])
    late = moves.fail(make_moment(3600), asked, code, "too late")
    assert booked(rollout, [asked], [late]).measured.finished == 0


def test_a_soak_is_not_part_of_the_time_that_a_device_takes() -> None:
    soaking = make_update(state=DeviceState.SOAKING, dispatched_at=at(0))
    rollout = counted(make_rollout(strategy=Strategy(soak=timedelta(hours=1))), [soaking])
    ended = moves.move(make_moment(3700), soaking, DeviceState.COMPLETED, "done")
    assert booked(rollout, [soaking], [ended]).measured.finished == 0
