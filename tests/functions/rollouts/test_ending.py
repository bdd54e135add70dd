from functions.rollouts.ending import end_if_over
from functions.rollouts.model import DeviceState, Reason, RolloutStatus
from tests.functions.builders import NOON, make_rollout, make_update

DONE = make_update(state=DeviceState.COMPLETED)
SKIPPED = make_update(state=DeviceState.SKIPPED)
FAILED = make_update(state=DeviceState.FAILED, error=Reason(code="timedOut", message="too slow"))


def test_a_rollout_goes_on_while_one_device_has_not_ended() -> None:
    rollout = make_rollout()
    assert end_if_over(rollout, [DONE, make_update(state=DeviceState.APPLYING)], NOON) is rollout


def test_a_rollout_whose_devices_all_completed_is_completed() -> None:
    ended = end_if_over(make_rollout(), [DONE, DONE], NOON)
    assert ended.status is RolloutStatus.COMPLETED
    assert ended.ended_at == NOON
    assert ended.final_counts is not None
    assert (ended.final_counts.total, ended.final_counts.completed) == (2, 2)


def test_one_failed_device_fails_the_rollout_and_the_reason_has_the_numbers() -> None:
    ended = end_if_over(make_rollout(), [DONE, FAILED, SKIPPED], NOON)
    assert ended.status is RolloutStatus.FAILED
    assert ended.status_reason is not None
    assert "1 of 2 devices completed" in ended.status_reason.message
    assert "1 timedOut" in ended.status_reason.message


def test_skipped_devices_do_not_fail_a_rollout() -> None:
    assert end_if_over(make_rollout(), [DONE, SKIPPED], NOON).status is RolloutStatus.COMPLETED


def test_an_ended_rollout_is_left_alone() -> None:
    ended = end_if_over(make_rollout(), [DONE], NOON)
    assert end_if_over(ended, [FAILED], NOON) is ended
