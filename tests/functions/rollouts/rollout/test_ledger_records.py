"""What one change of devices adds to their rollout: joiners, strata, events, measurements."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from functions.rollouts.model.block import Block, BlockSummary
from functions.rollouts.model.device_state import DeviceState, ErrorCode, SkipReason
from functions.rollouts.model.device_update import DeviceUpdate, HistoryEntry
from functions.rollouts.model.failure_count import FailureCount
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollout import Rollout
from functions.rollouts.model.wave import Counts
from functions.rollouts.rollout import ledger, outage_chance
from tests.functions.builders import (
    at,
    make_blocks,
    make_moment,
    make_rollout,
    make_update,
    make_wave,
)
from tests.functions.rollouts.rollout.stratified import (
    LARGE,
    SMALL,
    make_part,
    make_stratified,
    make_stratified_wave,
)

DISPATCHING, ACCEPTED = DeviceState.DISPATCHING, DeviceState.ACCEPTED
COMPLETED, FAILED, QUEUED = DeviceState.COMPLETED, DeviceState.FAILED, DeviceState.QUEUED


def record(
    rollout: Rollout, before: Sequence[DeviceUpdate], after: Sequence[DeviceUpdate]
) -> Rollout:
    moment = make_moment(60, rollout=rollout)
    return ledger.record_changes(moment, rollout, make_blocks(before), make_blocks(after))[0]


def make_of(*updates: DeviceUpdate, **values: Any) -> Rollout:
    """Make a rollout of one wave, whose devices are counted as queued."""
    return make_rollout(make_wave(len(updates)), **values)


def make_list(count: int, **values: Any) -> list[DeviceUpdate]:
    return [make_update(f"d-{number}", **values) for number in range(count)]


def change_all(updates: Sequence[DeviceUpdate], **values: Any) -> list[DeviceUpdate]:
    return [item._replace(**values) for item in updates]


def fail_all(updates: Sequence[DeviceUpdate], code: ErrorCode) -> list[DeviceUpdate]:
    return change_all(updates, state=FAILED, error=Reason(code=code, message=""))


# -- joiners and due times -------------------------------------------------------------------


def test_devices_that_joined_are_counted_where_they_are() -> None:
    before = make_list(2)
    joined = [make_update("j-0"), make_update("j-1"), make_update("j-2", state=COMPLETED)]
    wave = record(make_of(*before), before, [*before, *joined]).waves[0]
    assert wave.counts == Counts(queued=4, completed=1)


def test_devices_that_joined_are_counted_in_their_strata() -> None:
    rollout = make_stratified(make_stratified_wave(make_part(queued=1), make_part(queued=1)))
    before = [make_update("a", stratum=LARGE), make_update("b", stratum=SMALL)]
    joined = [make_update("c", stratum=SMALL), make_update("d", stratum=SMALL), make_update("e")]
    wave = record(rollout, before, [*before, *joined]).waves[0]
    assert [part.counts.queued for part in wave.strata] == [1, 3]
    assert wave.counts.queued == 5


def test_a_block_that_was_observed_has_a_new_due_time_and_its_old_revision() -> None:
    updates = (make_update(not_before=at(300)),)
    rollout = make_of(*updates, block_summaries=(BlockSummary(at(10), 3),), revision=7)
    moment, blocks = make_moment(60, rollout=rollout), {0: Block(0, updates)}
    observed, _ = ledger.record_changes(moment, rollout, blocks, {}, [0])
    assert observed.block_summaries == (BlockSummary(at(300), 3),)
    again, _ = ledger.record_changes(moment, observed, blocks, {}, [0])
    assert again.block_summaries is observed.block_summaries


# -- strata ----------------------------------------------------------------------------------


def test_a_failure_is_counted_in_the_stratum_of_its_device() -> None:
    parts = make_part(updating=1), make_part(updating=2)
    rollout = make_stratified(make_stratified_wave(*parts))
    before = [
        make_update("a", stratum=LARGE, state=ACCEPTED, start_rank=1, stratum_rank=1),
        make_update("b", stratum=SMALL, state=ACCEPTED, start_rank=2, stratum_rank=1),
        make_update("c", stratum=SMALL, state=ACCEPTED, start_rank=3, stratum_rank=2),
    ]
    after = [before[0], *fail_all(before[1:], ErrorCode.REPORTED)]
    found = record(rollout, before, after)
    large, small = found.waves[0].strata
    assert large == parts[0]
    assert (small.counts, small.failed) == (Counts(failed=2), (2, 3))
    assert found.stratum_gates[SMALL].sequence.failed == (1, 2)
    assert found.stratum_gates[LARGE] == rollout.stratum_gates[LARGE]


def test_a_device_gets_a_rank_in_its_wave_and_in_its_stratum() -> None:
    rollout = make_stratified(
        make_stratified_wave(make_part(updating=1, queued=1), make_part(updating=2, queued=1))
    )
    before = [make_update("a", stratum=SMALL), make_update("b")]
    after = change_all(before, state=DISPATCHING)
    moment = make_moment(60, rollout=rollout)
    changed, blocks = ledger.record_changes(
        moment, rollout, make_blocks(before), make_blocks(after)
    )
    ranks = [(item.start_rank, item.stratum_rank) for item in blocks[0].updates]
    assert ranks == [(4, 3), (5, None)]
    assert changed.waves[0].strata[SMALL].counts == Counts(updating=3)


def test_acknowledged_failures_of_a_stratum_are_no_more_than_its_failures() -> None:
    part = replace(
        make_part(1, 2), not_started=1, acknowledged_failed=2, acknowledged_not_started=1
    )
    rollout = make_stratified(make_stratified_wave(part, make_part()))
    first, second = fail_all(make_list(2, stratum=LARGE), ErrorCode.REJECTED)
    first = first._replace(error=Reason(code=ErrorCode.REPORTED, message=""), start_rank=1)
    queued = change_all([first, second], state=QUEUED, error=None)
    wave = record(rollout, [first, second], queued).waves[0]
    found = wave.strata[LARGE]
    assert (found.counts, found.failed) == (Counts(queued=2), (2,))
    assert (found.not_started, found.acknowledged_failed) == (0, 0)
    assert found.acknowledged_not_started == 0
    assert (wave.not_started, wave.acknowledged_failed) == (0, 0)
    assert wave.acknowledged_not_started == 0


def test_a_device_that_did_not_start_is_counted_in_its_stratum() -> None:
    rollout = make_stratified(make_stratified_wave(make_part(updating=2), make_part()))
    before = make_list(2, stratum=LARGE, state=DISPATCHING, start_rank=1, stratum_rank=1)
    after = fail_all(before, ErrorCode.UNREACHABLE)
    assert record(rollout, before, after).waves[0].strata[LARGE].not_started == 2


def test_a_device_that_is_tried_again_keeps_its_rank_in_its_stratum() -> None:
    rollout = make_stratified(make_stratified_wave(make_part(1), make_part()))
    before = fail_all(make_list(1, stratum=LARGE, start_rank=1, stratum_rank=1), ErrorCode.REPORTED)
    after = change_all(before, state=QUEUED, error=None)
    moment = make_moment(60, rollout=rollout)
    _, blocks = ledger.record_changes(moment, rollout, make_blocks(before), make_blocks(after))
    assert blocks[0].updates[0].stratum_rank == 1


def test_a_skipped_device_that_ran_the_version_is_counted_in_its_stratum() -> None:
    rollout = make_stratified(make_stratified_wave(make_part(queued=2), make_part()))
    before = make_list(2, stratum=LARGE)
    reasons = SkipReason.ALREADY_RUNNING, SkipReason.OFFLINE
    after = [
        item._replace(state=DeviceState.SKIPPED, skip_reason=reason)
        for item, reason in zip(before, reasons, strict=True)
    ]
    wave = record(rollout, before, after).waves[0]
    assert (wave.already_running, wave.strata[LARGE].already_running) == (1, 1)
    again = record(replace(rollout, waves=(wave,)), after, change_all(after, state=QUEUED))
    assert again.waves[0].strata[LARGE].already_running == 0


# -- failures --------------------------------------------------------------------------------


def test_devices_that_fail_before_they_accept_have_not_started() -> None:
    before = make_list(3, state=DISPATCHING)
    rollout = make_rollout(make_wave(3, counts=Counts(updating=3), not_started=1))
    after = [
        *fail_all(before[:2], ErrorCode.UNREACHABLE),
        *fail_all(before[2:], ErrorCode.REPORTED),
    ]
    assert record(rollout, before, after).waves[0].not_started == 3


def test_failures_are_counted_by_code() -> None:
    before = make_list(3, state=ACCEPTED)
    known = FailureCount(ErrorCode.TIMED_OUT, 1, "other")
    rollout = make_rollout(make_wave(4, counts=Counts(updating=3, failed=1)), failures=(known,))
    found = record(rollout, before, fail_all(before, ErrorCode.REPORTED))
    assert found.failures == (FailureCount(ErrorCode.REPORTED, 3, "d-0"), known)
    unknown = record(replace(rollout, failures=None), before, change_all(before, state=COMPLETED))
    assert unknown.failures is None


# -- events ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (1, "1 device skipped, deleted from the hub or disabled in it: d-0."),
        (10, ", d-8, d-9."),
        (12, ", d-8, d-9 and 2 more."),
    ],
)
def test_devices_that_are_gone_are_named_in_an_event(count: int, message: str) -> None:
    before = make_list(count)
    after = change_all(before, state=DeviceState.SKIPPED, skip_reason=SkipReason.DEVICE_REMOVED)
    found = record(make_of(*before), before, after)
    event = found.audit.events[-1]
    assert (event.at, event.action) == (at(60), "devicesGone")
    assert event.message.startswith(f"{count} device")
    assert event.message.endswith(message)
    again = record(found, after, change_all(after, running_version="2.4.0"))
    assert again.audit == found.audit


@pytest.mark.parametrize(
    ("state", "reason"),
    [(DeviceState.SKIPPED, SkipReason.OFFLINE), (DISPATCHING, SkipReason.DEVICE_DISABLED)],
)
def test_only_devices_that_are_skipped_as_gone_are_named(
    state: DeviceState, reason: SkipReason
) -> None:
    before = make_list(1)
    after = change_all(before, state=state, skip_reason=reason)
    assert not record(make_of(*before), before, after).audit.events


@pytest.mark.parametrize(("late", "words"), [(1, "1 device"), (2, "2 devices")])
def test_failed_devices_that_completed_late_are_counted_in_an_event(late: int, words: str) -> None:
    before = [*fail_all(make_list(late), ErrorCode.TIMED_OUT), make_update("x", state=ACCEPTED)]
    rollout = make_rollout(make_wave(late + 1, counts=Counts(failed=late, updating=1)))
    event = record(rollout, before, change_all(before, state=COMPLETED)).audit.events[-1]
    assert (event.action, event.message) == ("completedLate", f"{words} that had failed.")
    retried = record(rollout, before, [*change_all(before[:-1], state=QUEUED), before[-1]])
    assert not retried.audit.events


# -- measurements ----------------------------------------------------------------------------


def test_devices_are_counted_as_connected_or_not_at_their_first_method() -> None:
    rollout = make_rollout(
        make_wave(4), invoked=((5, 4),), first_invoked=((3, 3),), strata=("a", "b", "c")
    )
    before = [
        make_update("a"),
        make_update("b", seen_offline=True),
        make_update("c", stratum=2),
        make_update("d", attempt=2),
        make_update("e", dispatched_at=at(1)),
        make_update("f", state=DISPATCHING),
    ]
    after = [*change_all(before[:5], state=DISPATCHING), before[5]._replace(state=ACCEPTED)]
    found = record(rollout, before, after).measured
    assert found.invoked == ((7, 5), (0, 0), (1, 1))
    assert found.first_invoked == ((5, 4), (0, 0), (1, 1))


def test_a_device_whose_claim_is_taken_back_is_not_counted() -> None:
    rollout = make_rollout(make_wave(2), invoked=((9, 7), (5, 5)), first_invoked=((9, 7), (5, 5)))
    before = [make_update("a"), make_update("b", stratum=1, seen_offline=True)]
    claimed = [item._replace(state=DISPATCHING, dispatched_at=at(1)) for item in before]
    stored = record(rollout, before, claimed)
    assert stored.measured.invoked == ((10, 8), (6, 5))
    returned = record(stored, claimed, before).measured
    assert returned.invoked == returned.first_invoked == ((9, 7), (5, 5))
    # A method that was perhaps sent still counts.
    in_doubt = [item._replace(state=QUEUED, in_doubt=True) for item in claimed]
    assert record(stored, claimed, in_doubt).measured == stored.measured


def test_no_more_devices_are_counted_than_the_share_is_learned_from() -> None:
    most, first = outage_chance.MAX_INVOKED, outage_chance.FIRST_INVOKED
    rollout = make_rollout(make_wave(2), invoked=((most - 1, 9),), first_invoked=((first - 1, 9),))
    before = make_list(2)
    found = record(rollout, before, change_all(before, state=DISPATCHING)).measured
    assert (found.invoked, found.first_invoked) == (((most, 10),), ((first, 10),))


def test_durations_of_all_devices_are_added_up() -> None:
    rollout = make_rollout(make_wave(3), finished=4, finish_seconds=100.0)
    before = make_list(2, state=ACCEPTED, dispatched_at=at(10))
    before.append(make_update("late", state=ACCEPTED, dispatched_at=at(50)))
    after = [
        item._replace(
            state=COMPLETED, history=(HistoryEntry(COMPLETED, 1, at(40), "It reported its end."),)
        )
        for item in before
    ]
    measured = record(rollout, before, after).measured
    assert (measured.finished, measured.finish_seconds) == (7, 160.0)
