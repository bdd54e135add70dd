"""What a retry keeps and forgets: of a device's earlier end, of failures, of frozen strata."""

from dataclasses import replace

import pytest

from functions.rollouts.model.block import Block
from functions.rollouts.model.device_set import DeviceSet
from functions.rollouts.model.device_state import DeviceState, SkipReason
from functions.rollouts.model.pending_retry import PendingRetry, RetryState
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollback import RollbackDue
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.stratum import StratumGate
from functions.rollouts.model.wave import Counts, WaveStatus
from functions.rollouts.rollout.operator_commands import Caller
from functions.rollouts.rollout.retry import Selection, requeue, requeue_blocks, retry
from tests.functions.builders import at, make_moment, make_rollout, make_update, make_wave
from tests.functions.rollouts.rollout.stratified import (
    LARGE,
    SMALL,
    WHY,
    freeze,
    make_part,
    make_stratified,
    make_stratified_wave,
)

ANNA = Caller("anna")
ALL = frozenset(RetryState)
BOTH = frozenset({RetryState.FAILED, RetryState.CANCELLED})
NEW_URI = "https://new.example/fw.bin?sig=secret"


def retry_all(rollout: Rollout, uri: str | None = None) -> Rollout:
    return retry(rollout, at(60), ANNA, Selection(states=BOTH), uri)


# -- the rollout -----------------------------------------------------------------------------


def test_a_retry_is_recorded_with_its_devices_and_package() -> None:
    counts = Counts(failed=1, cancelled=2)
    rollout = make_rollout(make_wave(3, counts=counts), status=RolloutStatus.FAILED)
    event = retry_all(rollout, NEW_URI).audit.events[-1]
    assert event.at == at(60)
    assert event.message.startswith("3 cancelled or failed devices queued again by anna, with the")
    assert "new.example" in event.message
    assert "secret" not in event.message
    only_failed = retry(rollout, at(60), ANNA, Selection()).audit.events[-1]
    assert only_failed.message == "1 failed device queued again by anna."


@pytest.mark.parametrize("started", [True, False])
def test_a_rollout_that_was_cancelled_before_its_start_is_scheduled_again(*, started: bool) -> None:
    rollout = make_rollout(
        make_wave(2, counts=Counts(cancelled=2)),
        status=RolloutStatus.CANCELLED,
        status_reason=Reason(code="cancelled", message="Cancelled."),
        started_at=at(0) if started else None,
    )
    found = retry_all(rollout)
    assert found.status is (RolloutStatus.RUNNING if started else RolloutStatus.SCHEDULED)
    assert found.status_reason is None


# -- failures that are known -----------------------------------------------------------------


def test_the_gate_begins_anew_in_each_wave_with_failures() -> None:
    part = replace(make_part(3, 4, completed=2), not_started=1)
    failed = make_stratified_wave(part, make_part(completed=1), status=WaveStatus.FAILED)
    gates = (StratumGate(), StratumGate())  # their sequences have begun anew
    found = retry_all(make_stratified(failed, stratum_gates=gates)).waves[0]
    assert (found.acknowledged_failed, found.acknowledged_not_started) == (2, 1)
    assert found.sequence == failed.sequence.restart()
    assert found.strata == (part.acknowledge(), make_part(completed=1))


def test_waves_without_failures_or_not_opened_are_judged_as_before() -> None:
    healthy = make_wave(2, counts=Counts(updating=1, completed=1))
    pending = make_wave(2, counts=Counts(queued=1, failed=1), status=WaveStatus.PENDING)
    rollout = make_rollout(healthy, pending)
    assert retry_all(rollout).waves == rollout.waves


def test_the_gate_begins_anew_for_strata_that_are_not_frozen() -> None:
    wave = make_stratified_wave(make_part(2, completed=1), make_part(4, completed=1))
    rollout = freeze(make_stratified(wave), SMALL)
    found = retry_all(rollout).stratum_gates
    assert (found[LARGE].sequence.failures, found[LARGE].acknowledged_at) == (0, at(60))
    assert found[SMALL] == rollout.stratum_gates[SMALL]


def test_a_stratum_without_failures_is_judged_as_before() -> None:
    wave = make_stratified_wave(make_part(2, completed=1), make_part(completed=1))
    rollout = make_stratified(wave)
    assert retry_all(rollout).stratum_gates[SMALL] == rollout.stratum_gates[SMALL]


@pytest.mark.parametrize(
    ("rollback", "is_cancelled"), [(None, False), (RollbackDue("r"), True)], ids=str
)
def test_a_cancelled_stratum_waits_for_a_resume_after_a_retry(
    rollback: RollbackDue | None, *, is_cancelled: bool
) -> None:
    wave = make_stratified_wave(make_part(2, completed=1), make_part(4, cancelled=3))
    rollout = freeze(make_stratified(wave), SMALL, is_cancelled=True, rollback=rollback)
    found = retry_all(rollout).stratum_gates[SMALL].frozen
    assert found is not None
    assert (found.reason, found.is_cancelled) == (WHY, is_cancelled)


def test_a_failed_wave_with_only_frozen_devices_left_is_passed_at_the_end_of_a_retry() -> None:
    parts = make_part(3, completed=2), make_part(queued=4)
    rollout = freeze(
        make_stratified(
            make_stratified_wave(*parts, status=WaveStatus.FAILED),
            retry=PendingRetry(states=BOTH, devices=None),
        ),
        SMALL,
    )
    found, _ = requeue_blocks(make_moment(60), rollout, [], is_last=True)
    assert found.waves[0].passed


# -- a device --------------------------------------------------------------------------------


def test_a_device_that_is_queued_again_forgets_how_it_ended() -> None:
    ended = make_update(
        state=DeviceState.FAILED,
        error=WHY,
        skip_reason=SkipReason.DEFERRED,
        ended_at=at(5),
        soak_until=at(6),
        waiting_since=at(1),
    )
    found = requeue(make_moment(60), ALL, ended)
    assert found.state is DeviceState.QUEUED
    assert (found.error, found.skip_reason, found.ended_at) == (None, None, None)
    assert (found.soak_until, found.waiting_since) == (None, None)
    assert not found.named_by_retry


@pytest.mark.parametrize(
    ("reported", "kept"), [("failed", "failed"), ("applying", None), (None, None)]
)
def test_only_a_reported_failure_is_kept_as_the_end_of_the_attempt(
    reported: str | None, kept: str | None
) -> None:
    update = make_update(state=DeviceState.FAILED, firmware_status=reported)
    assert requeue(make_moment(60), ALL, update).firmware_status == kept


@pytest.mark.parametrize("devices", [None, {0: DeviceSet.of([0])}], ids=["all", "named"])
def test_a_device_knows_whether_a_retry_has_named_it(devices: dict[int, DeviceSet] | None) -> None:
    rollout = make_rollout(
        make_wave(1, counts=Counts(failed=1), status=WaveStatus.FAILED),
        retry=PendingRetry(states=ALL, devices=devices),
    )
    block = Block(0, (make_update(state=DeviceState.FAILED),))
    _, changed = requeue_blocks(make_moment(60), rollout, [block], is_last=True)
    assert changed[0].updates[0].named_by_retry is (devices is not None)
