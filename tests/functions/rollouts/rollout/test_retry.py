"""The effects of a retry on a rollout, its waves and its devices."""

from dataclasses import replace

import pytest

from functions.rollouts.model.block import Block
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.pending_retry import RetryState
from functions.rollouts.model.rollback import RollbackDue, RolledBack
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.wave import Counts, WaveStatus
from functions.rollouts.rollout import waves
from functions.rollouts.rollout.operator_commands import Caller, NotAllowedError
from functions.rollouts.rollout.retry import (
    Selection,
    is_selected,
    requeue,
    requeue_blocks,
    retry,
)
from tests.functions.builders import NOON, at, make_moment, make_rollout, make_update, make_wave

ANNA = Caller("anna")
FAILED_ONES = Selection()
ALL = Selection(states=frozenset(RetryState))
STOPPED = {RolloutStatus.COMPLETED, RolloutStatus.FAILED, RolloutStatus.CANCELLED}


def make_failed(status: RolloutStatus = RolloutStatus.FAILED) -> Rollout:
    """Make a rollout with two waves, of which the last has one failed device."""
    return make_rollout(
        make_wave(2, name="canary", status=WaveStatus.COMPLETED, counts=Counts(completed=2)),
        make_wave(2, name="rest", status=WaveStatus.FAILED, counts=Counts(completed=1, failed=1)),
        status=status,
        started_at=NOON,
        ended_at=NOON if status in STOPPED else None,
    )


@pytest.mark.parametrize("status", sorted(set(RolloutStatus) - {RolloutStatus.SCHEDULED}))
def test_a_retry_is_accepted_in_every_status_but_scheduled(status: RolloutStatus) -> None:
    changed = retry(make_failed(status), at(1), ANNA, FAILED_ONES)
    paused = status is RolloutStatus.PAUSED
    assert changed.status is (RolloutStatus.PAUSED if paused else RolloutStatus.RUNNING)
    assert changed.ended_at is None
    assert (changed.audit.events[-1].action, changed.audit.events[-1].by) == ("retried", "anna")


@pytest.mark.parametrize(
    ("rollout", "why"),
    [
        (make_failed(RolloutStatus.SCHEDULED), "scheduled"),
        (make_rollout(), "No device of the rollout is failed"),
        (replace(make_failed(), rollback=RolledBack("x")), "rolled back"),
        (replace(make_failed(), rollback=RollbackDue()), "rolled back"),
        (retry(make_failed(), at(1), ANNA, FAILED_ONES), "Another retry"),
        (
            make_rollout(
                make_wave(2, counts=Counts(queued=1, failed=1)), status=RolloutStatus.CANCELLED
            ),
            "still being cancelled",
        ),
    ],
)
def test_a_retry_is_refused_with_the_reason(rollout: Rollout, why: str) -> None:
    with pytest.raises(NotAllowedError, match=why):
        retry(rollout, at(2), ANNA, FAILED_ONES)


def test_only_the_waves_of_queued_devices_are_reopened() -> None:
    rollout = retry(make_failed(), at(1), ANNA, FAILED_ONES)
    assert [wave.status for wave in rollout.waves] == [WaveStatus.COMPLETED, WaveStatus.FAILED]
    block = Block(
        0,
        (
            make_update(state=DeviceState.COMPLETED, wave=0),
            make_update(state=DeviceState.FAILED, wave=1),
        ),
    )
    rollout, changed = requeue_blocks(make_moment(1), rollout, [block], is_last=True)
    assert [wave.status for wave in rollout.waves] == [WaveStatus.COMPLETED, WaveStatus.RUNNING]
    assert (rollout.waves[1].ended_at, rollout.retry) == (None, None)
    assert [item.state for item in changed[0].updates] == [
        DeviceState.COMPLETED,
        DeviceState.QUEUED,
    ]


def test_a_rollout_whose_retry_is_not_finished_does_not_end() -> None:
    rollout = retry(make_failed(), at(1), ANNA, FAILED_ONES)
    assert not waves.settle(rollout, at(2)).is_over
    assert waves.settle(replace(rollout, retry=None), at(2)).is_over


def test_blocks_that_are_done_are_not_queued_twice() -> None:
    rollout = retry(make_failed(), at(1), ANNA, FAILED_ONES)
    block = Block(3, (make_update(state=DeviceState.FAILED, wave=1),))
    rollout, changed = requeue_blocks(make_moment(1), rollout, [block], is_last=False)
    assert list(changed) == [3]
    again, changed = requeue_blocks(make_moment(2), rollout, [block], is_last=False)
    assert (again, changed) == (rollout, {})


def test_only_the_chosen_devices_of_a_block_are_queued() -> None:
    selection = Selection(devices={0: DeviceSet.of([1])})
    rollout = retry(make_failed(), at(1), ANNA, selection)
    block = Block(0, (make_update(state=DeviceState.FAILED, wave=1),) * 3)
    _, changed = requeue_blocks(make_moment(1), rollout, [block], is_last=True)
    states = [item.state for item in changed[0].updates]
    assert states == [DeviceState.FAILED, DeviceState.QUEUED, DeviceState.FAILED]


def test_the_failures_that_stay_are_acknowledged_and_no_others() -> None:
    """Of ten failures three are queued again: seven stay known to the gate."""
    rollout = make_rollout(make_wave(20, counts=Counts(completed=10, failed=10)))
    rollout = retry(rollout, at(1), ANNA, FAILED_ONES)
    assert rollout.waves[0].acknowledged_failed == 10
    block = Block(0, (make_update(state=DeviceState.FAILED),) * 3)
    rollout, _ = requeue_blocks(make_moment(1), rollout, [block], is_last=False)
    assert rollout.waves[0].acknowledged_failed == 7


def test_a_retried_device_is_queued_with_all_its_attempts_left() -> None:
    failed = make_update(
        state=DeviceState.FAILED,
        attempt=3,
        attempts_used=3,
        delays=2,
        waiting_since=at(0),
        offline=True,
    )
    update = requeue(make_moment(5), ALL.states, failed)
    assert (update.state, update.attempt, update.attempts_used) == (DeviceState.QUEUED, 4, 0)
    assert (update.delays, update.waiting_since, update.offline) == (0, None, False)
    assert (update.error, update.ended_at, update.not_before) == (None, None, None)


@pytest.mark.parametrize("state", DeviceState)
def test_only_devices_in_the_chosen_states_are_queued_again(state: DeviceState) -> None:
    update = make_update(state=state)
    for chosen in RetryState:
        queued = requeue(make_moment(5), frozenset({chosen}), update)
        assert (queued is update) is (state.value != chosen.value)


def test_a_device_that_would_be_skipped_again_is_not_selected() -> None:
    selected = {
        reason
        for reason in SkipReason
        if is_selected(make_update(state=DeviceState.SKIPPED, skip_reason=reason), ALL.states)
    }
    assert set(SkipReason) - selected == {SkipReason.ALREADY_RUNNING}


FAILED_BLOCK = (make_update(state=DeviceState.FAILED, wave=1),)


def test_each_block_is_queued_once_however_the_retry_is_interrupted() -> None:
    """Read block 1 twice, as after a crash between two writes, and block 2 for the first time."""
    rollout = retry(make_failed(), at(1), ANNA, FAILED_ONES)
    first, second, third = (Block(number, FAILED_BLOCK) for number in range(3))
    rollout, changed = requeue_blocks(make_moment(1), rollout, [first, second], is_last=False)
    assert list(changed) == [0, 1]
    assert rollout.retry is not None
    rollout, changed = requeue_blocks(make_moment(2), rollout, [second, third], is_last=False)
    assert list(changed) == [2]


def test_a_block_without_chosen_devices_stays_as_it_is() -> None:
    selection = Selection(devices={1: DeviceSet.of([0])})
    rollout = retry(make_failed(), at(1), ANNA, selection)
    blocks = [Block(0, FAILED_BLOCK), Block(1, FAILED_BLOCK)]
    _, changed = requeue_blocks(make_moment(1), rollout, blocks, is_last=True)
    assert list(changed) == [1]


@pytest.mark.parametrize("pending", [True, False])
def test_a_retry_that_was_cancelled_or_has_ended_queues_nothing(*, pending: bool) -> None:
    rollout = make_failed(RolloutStatus.CANCELLED)
    if pending:
        rollout = replace(retry(rollout, at(1), ANNA, FAILED_ONES), status=RolloutStatus.CANCELLED)
    blocks = [Block(0, FAILED_BLOCK)]
    after, changed = requeue_blocks(make_moment(1), rollout, blocks, is_last=True)
    assert (after, changed) == (replace(rollout, retry=None), {})


def test_the_failed_waves_that_no_device_was_chosen_from_are_passed_at_the_end() -> None:
    """Fail both waves and queue a device of the last one again."""
    failed = make_failed()
    canary = replace(
        failed.waves[0], status=WaveStatus.FAILED, counts=Counts(completed=1, failed=1)
    )
    rollout = retry(replace(failed, waves=(canary, failed.waves[1])), at(1), ANNA, FAILED_ONES)
    blocks = [Block(0, FAILED_BLOCK)]
    before, _ = requeue_blocks(make_moment(1), rollout, blocks, is_last=False)
    assert not before.waves[0].passed
    after, _ = requeue_blocks(make_moment(1), rollout, blocks, is_last=True)
    assert after.waves[0].passed
    assert not after.waves[1].passed
    paused = replace(rollout, status=RolloutStatus.PAUSED)
    after, _ = requeue_blocks(make_moment(1), paused, blocks, is_last=True)
    assert not after.waves[0].passed


def test_a_pending_wave_stays_pending_and_the_others_are_reopened() -> None:
    waves_of = [
        make_wave(2, name=f"wave-{number}", status=wave_status, ended_at=NOON)
        for number, wave_status in enumerate([WaveStatus.PENDING, WaveStatus.FAILED])
    ]
    counts = Counts(queued=1, failed=1)
    rollout = make_rollout(
        *(replace(wave, counts=counts, acknowledged_failed=0) for wave in waves_of),
        status=RolloutStatus.RUNNING,
        started_at=NOON,
    )
    rollout = retry(rollout, at(1), ANNA, FAILED_ONES)
    rollout = replace(
        rollout, waves=tuple(replace(wave, acknowledged_failed=0) for wave in rollout.waves)
    )
    block = Block(0, (make_update(state=DeviceState.FAILED, wave=0), *FAILED_BLOCK))
    after, _ = requeue_blocks(make_moment(1), rollout, [block], is_last=False)
    assert [wave.status for wave in after.waves] == [WaveStatus.PENDING, WaveStatus.RUNNING]
    assert after.waves[1].ended_at is None
    assert [wave.acknowledged_failed for wave in after.waves] == [0, 0]


def test_a_refused_retry_names_the_states_that_have_devices() -> None:
    counts = Counts(completed=1, skipped=2, cancelled=1)
    rollout = make_rollout(make_wave(4, counts=counts), status=RolloutStatus.FAILED)
    with pytest.raises(NotAllowedError) as refused:
        retry(rollout, at(1), ANNA, FAILED_ONES)
    assert "No device of the rollout is failed. It has " in str(refused.value)
    assert "2 skipped" in str(refused.value)
    assert "1 cancelled" in str(refused.value)
    with pytest.raises(NotAllowedError) as refused:
        retry(make_rollout(make_wave(1, counts=Counts(completed=1))), at(1), ANNA, FAILED_ONES)
    assert str(refused.value).endswith("No device of the rollout is failed.")


def test_a_new_package_uri_is_sent_and_the_former_one_is_kept_as_a_secret() -> None:
    rollout = make_failed()
    former = rollout.firmware.package_uri
    again = retry(rollout, at(60), ANNA, FAILED_ONES, "https://new.example/fw.bin")
    assert again.firmware == replace(rollout.firmware, package_uri="https://new.example/fw.bin")
    assert again.definition.earlier_links == (former,)
