"""Test which devices a later rollout takes from earlier ones."""

from typing import Any

import pytest

from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.rollout import RolloutStatus
from functions.rollouts.model.wave import Counts
from functions.rollouts.rollout.superseding import may_leave_devices, takes_device
from tests.functions.builders import NOON, make_rollout, make_update, make_wave

CANCELLED = make_rollout(status=RolloutStatus.CANCELLED)


@pytest.mark.parametrize(
    "state", sorted(set(DeviceState) - {DeviceState.SKIPPED, DeviceState.CANCELLED})
)
def test_a_rollout_takes_the_devices_that_it_has_reached_or_failed_or_is_to_reach(
    state: DeviceState,
) -> None:
    assert takes_device(make_rollout(), make_update(state=state))


@pytest.mark.parametrize(
    ("values", "taken"),
    [
        ({"state": DeviceState.QUEUED}, False),
        ({"state": DeviceState.CANCELLED}, False),
        ({"state": DeviceState.QUEUED, "dispatched_at": NOON, "attempts_used": 1}, True),
        ({"state": DeviceState.CANCELLED, "dispatched_at": NOON}, True),
        ({"state": DeviceState.APPLYING, "dispatched_at": NOON}, True),
        ({"state": DeviceState.COMPLETED, "dispatched_at": NOON}, True),
    ],
)
def test_a_cancelled_rollout_takes_only_the_devices_that_it_has_reached(
    values: dict[str, Any], *, taken: bool
) -> None:
    assert takes_device(CANCELLED, make_update(**values)) is taken


@pytest.mark.parametrize("reason", SkipReason)
def test_a_skipped_device_is_left_to_earlier_rollouts_unless_it_ran_the_version_already(
    reason: SkipReason,
) -> None:
    update = make_update(state=DeviceState.SKIPPED, skip_reason=reason, dispatched_at=NOON)
    assert takes_device(make_rollout(), update) is (reason is SkipReason.ALREADY_RUNNING)


def test_a_device_that_was_skipped_after_an_attempt_may_run_the_later_firmware() -> None:
    update = make_update(
        state=DeviceState.SKIPPED, skip_reason=SkipReason.SUPERSEDED, attempts_used=1
    )
    assert takes_device(make_rollout(), update)


@pytest.mark.parametrize(
    ("status", "counts", "may_leave"),
    [
        (RolloutStatus.RUNNING, Counts(queued=1, completed=1, failed=1), False),
        (RolloutStatus.COMPLETED, Counts(completed=2, skipped=1), True),
        (RolloutStatus.CANCELLED, Counts(queued=1, updating=2), True),
        (RolloutStatus.CANCELLED, Counts(cancelled=1, updating=2), True),
        (RolloutStatus.CANCELLED, Counts(updating=3), False),
    ],
)
def test_the_counters_tell_whether_devices_may_be_left(
    status: RolloutStatus, counts: Counts, *, may_leave: bool
) -> None:
    rollout = make_rollout(make_wave(3, counts=counts), status=status)
    assert may_leave_devices(rollout) is may_leave
