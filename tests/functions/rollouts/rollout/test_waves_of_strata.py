"""How waves go on beside frozen strata, expiries, joiners and devices that have not started."""

from dataclasses import replace
from typing import Any

import pytest

from functions.rollouts.model.firmware import Firmware
from functions.rollouts.model.gate_sequence import GateSequence
from functions.rollouts.model.joining import Joining
from functions.rollouts.model.pending_retry import PendingRetry
from functions.rollouts.model.reason import Reason
from functions.rollouts.model.rollback import RollbackDue
from functions.rollouts.model.rollout import Rollout, RolloutStatus
from functions.rollouts.model.stop import Stop
from functions.rollouts.model.strategy import FailureGate, OnBreach, Strategy, WavePlan, percent
from functions.rollouts.model.target import TargetDevice
from functions.rollouts.model.wave import Counts, Wave, WaveStatus
from functions.rollouts.rollout import evidence, waves
from tests.functions.builders import at, make_rollout, make_wave
from tests.functions.rollouts.rollout.stratified import (
    LARGE,
    SMALL,
    WHY,
    freeze,
    make_part,
    make_stratified,
    make_stratified_wave,
)

RUNNING, PAUSED = RolloutStatus.RUNNING, RolloutStatus.PAUSED
CANCEL = FailureGate(on_breach=OnBreach.CANCEL)
FREEZE = FailureGate(on_breach=OnBreach.FREEZE)
EXPIRED = Firmware(version="2.4.0", package_uri="https://x/fw?se=2026-11-23T12:00:00Z&sig=b2xk")
FOUND = Joining(found=(TargetDevice("a"),))


def settle(rollout: Rollout) -> Rollout:
    return waves.settle(rollout, at(60))


def make_pending(size: int = 10, **values: Any) -> Wave:
    return make_wave(size, name="rest", status=WaveStatus.PENDING, started_at=None, **values)


def list_statuses(rollout: Rollout) -> list[str]:
    return [wave.status.value for wave in rollout.waves]


def code_of(rollout: Rollout) -> str | None:
    return rollout.status_reason.code if rollout.status_reason else None


# -- the start and the end of a package ------------------------------------------------------


def test_a_start_takes_the_reason_away_and_names_the_waves_without_devices() -> None:
    rollout = make_rollout(
        make_pending(1),
        status=RolloutStatus.SCHEDULED,
        status_reason=Reason(code="x", message=""),
        strategy=Strategy(waves=(WavePlan(size=0, name="a"), WavePlan(size=0, name="b"))),
    )
    started = settle(rollout)
    assert started.status_reason is None
    event = started.audit.events[0]
    assert event.message == "1 device in 1 wave. No device is left for: a, b."
    plain = settle(make_rollout(make_pending(), status=RolloutStatus.SCHEDULED))
    assert plain.audit.events[0].message == "10 devices in 1 wave."


@pytest.mark.parametrize(
    ("counts", "status", "expected"),
    [
        (Counts(queued=1, updating=1), RUNNING, PAUSED),
        (Counts(updating=2), RUNNING, RUNNING),
        (Counts(queued=1, updating=1), RolloutStatus.CANCELLED, RolloutStatus.CANCELLED),
    ],
)
def test_a_rollout_with_queued_devices_pauses_once_its_package_expires(
    counts: Counts, status: RolloutStatus, expected: RolloutStatus
) -> None:
    wave = make_wave(2, counts=counts)
    found = settle(make_rollout(wave, status=status, firmware=EXPIRED))
    assert found.status is expected
    if expected is PAUSED:
        assert code_of(found) == "packageUriExpires"
        assert found.audit.events[-1].action == "paused"
        assert settle(found) == found


# -- devices that have not started -----------------------------------------------------------


def test_a_wave_with_too_many_devices_that_have_not_started_only_pauses() -> None:
    wave = make_wave(
        20, counts=Counts(queued=10, failed=10), not_started=10, sequence=make_wave(1).sequence
    )
    found = settle(make_rollout(wave, strategy=Strategy(failure_gate=CANCEL)))
    assert (found.status, code_of(found)) == (PAUSED, "notStarted")


@pytest.mark.parametrize(("not_started", "status"), [(1, PAUSED), (0, RolloutStatus.CANCELLED)])
def test_a_wave_that_lacks_only_devices_that_have_not_started_only_pauses(
    not_started: int, status: RolloutStatus
) -> None:
    lenient = replace(CANCEL, acceptable=percent(98), unacceptable=percent(99))
    strategy = Strategy(success_share=percent(100), failure_gate=lenient)
    wave = make_wave(10, counts=Counts(completed=9, failed=1), not_started=not_started)
    found = settle(make_rollout(wave, make_pending(), strategy=strategy))
    assert (found.status, code_of(found)) == (status, "successShare")


@pytest.mark.parametrize(
    ("completed", "not_started", "lacks"),
    [(10, 5, False), (9, 1, True), (8, 1, False), (7, 3, True), (9, 0, False)],
)
def test_the_devices_that_have_not_started_would_have_reached_the_share(
    completed: int, not_started: int, *, lacks: bool
) -> None:
    counts = Counts(completed=completed, failed=10 - completed)
    wave = make_wave(10, counts=counts, not_started=not_started)
    rollout = make_rollout(wave, strategy=Strategy(success_share=percent(100)))
    assert evidence.lacks_only_not_started(rollout, wave) is lacks


def test_a_wave_passes_with_its_share_and_with_evidence() -> None:
    strategy = Strategy(success_share=percent(50), min_completed=5)
    for counts, passed in (
        (Counts(completed=5, failed=5), True),
        (Counts(completed=4, skipped=6), False),
        (Counts(completed=5, updating=6), False),
    ):
        wave = make_wave(counts.total, counts=counts)
        assert evidence.has_passed(make_rollout(wave, strategy=strategy), wave) is passed


# -- joiners, retries and rollbacks ----------------------------------------------------------


def test_the_last_wave_runs_until_the_devices_that_join_have_joined() -> None:
    done = make_wave(2, name="canary", counts=Counts(completed=2))
    last = make_wave(2, name="rest", counts=Counts(completed=2))
    found = settle(make_rollout(done, last, joining=FOUND))
    assert (list_statuses(found), found.is_over) == (["completed", "running"], False)


@pytest.mark.parametrize(
    ("values", "is_over"),
    [
        ({}, True),
        ({"joining": FOUND}, False),
        ({"retry": PendingRetry(states=frozenset(), devices=None)}, False),
        ({"rollback": RollbackDue()}, False),
    ],
)
def test_a_cancelled_rollout_ends_once_nothing_is_left_to_do(
    values: dict[str, Any], *, is_over: bool
) -> None:
    wave = make_wave(2, counts=Counts(cancelled=2))
    found = settle(make_rollout(wave, status=RolloutStatus.CANCELLED, **values))
    assert found.is_over is is_over


def test_a_cancelled_rollout_does_not_end_before_a_rollback_of_a_stratum_is_created() -> None:
    wave = make_stratified_wave(make_part(cancelled=1), make_part(completed=1))
    rollout = make_stratified(wave, status=RolloutStatus.CANCELLED)
    assert settle(rollout).is_over
    assert not settle(freeze(rollout, SMALL, rollback=RollbackDue("r"))).is_over


@pytest.mark.parametrize("failed", [0, 2])
def test_a_breached_last_wave_or_frozen_stratum_waits_unless_the_rollout_fails(
    failed: int,
) -> None:
    """A rollout that fails anyway needs no operator to say so."""
    part = make_part(*range(1, failed + 1), completed=2)
    strategy = Strategy(success_share=percent(100))
    wave = make_stratified_wave(part, make_part(completed=1), status=WaveStatus.FAILED)
    stopped = make_stratified(wave, status=PAUSED, strategy=strategy, status_reason=WHY)
    stopped = replace(stopped, stops=(Stop(reason=WHY, revision=1, wave=0),))
    assert settle(stopped).status is (RolloutStatus.FAILED if failed else PAUSED)
    running = replace(wave, status=WaveStatus.RUNNING)
    frozen = freeze(make_stratified(running, status=PAUSED, strategy=strategy), SMALL)
    assert settle(frozen).status is (RolloutStatus.FAILED if failed else PAUSED)


# -- strata ----------------------------------------------------------------------------------


def make_failing(*ranks: int, started: int = 43, status: RolloutStatus = RUNNING) -> Rollout:
    """Make a rollout whose first three small devices have failed, with these ranks in the wave."""
    parts = make_part(updating=20), make_part(*ranks, updating=20)
    sequence = GateSequence(started=started, in_flight=40, failed=ranks)
    wave = make_stratified_wave(*parts, sequence=sequence)
    return make_stratified(wave, strategy=Strategy(failure_gate=FREEZE), status=status)


@pytest.mark.parametrize("status", [RUNNING, PAUSED])
def test_a_breached_stratum_is_frozen_also_during_a_pause(status: RolloutStatus) -> None:
    found = settle(make_failing(1, 2, 3, status=status))
    assert [gate.frozen is not None for gate in found.stratum_gates] == [False, True]
    assert list_statuses(found) == ["running"]
    later = make_failing(20, 40, 60, started=60)  # the wave itself is not breached
    assert settle(later).stratum_gates[SMALL].frozen is not None
    over = make_failing(1, 2, 3, status=RolloutStatus.CANCELLED)
    assert settle(over).stratum_gates == over.stratum_gates


def test_a_breach_of_a_wave_freezes_the_stratum_that_alone_causes_it() -> None:
    """The stratum's own sequence has begun anew, so that it is not breached by itself."""
    rollout = make_failing(1, 2, 3)
    gates = tuple(replace(gate, sequence=gate.sequence.restart()) for gate in rollout.stratum_gates)
    found = settle(replace(rollout, stratum_gates=gates))
    assert [gate.frozen is not None for gate in found.stratum_gates] == [False, True]
    assert (found.status, list_statuses(found)) == (RUNNING, ["running"])


def test_a_running_rollout_says_which_frozen_strata_wait() -> None:
    parts = make_part(updating=2), make_part(queued=3)
    rollout = freeze(make_stratified(make_stratified_wave(*parts)), SMALL)
    found = settle(rollout)
    message = "3 devices of frozen stratum small wait. Too many failed."
    assert found.status_reason == Reason(code="stratumFrozen", message=message)
    assert settle(found) is found
    old = Reason(code="stratumFrozen", message="9 devices wait.")
    assert settle(replace(rollout, status_reason=old)).status_reason == found.status_reason
    other = replace(rollout, status_reason=WHY)
    assert settle(other).status_reason == WHY


def test_a_rollout_pauses_once_only_devices_of_frozen_strata_are_left() -> None:
    parts = make_part(completed=2), make_part(queued=3)
    rollout = freeze(make_stratified(make_stratified_wave(*parts)), SMALL)
    found = settle(rollout)
    assert (found.status, code_of(found)) == (PAUSED, "stratumFrozen")
    assert [event.action for event in found.audit.events][-1] == "paused"
    retried = replace(rollout, retry=PendingRetry(states=frozenset(), devices=None))
    assert settle(retried).status is RUNNING


@pytest.mark.parametrize(
    ("strata", "is_told"), [([], False), ([SMALL], True), ([LARGE, SMALL], False)]
)
def test_a_shortfall_names_the_strata_that_are_left_out(
    strata: list[int], *, is_told: bool
) -> None:
    parts = make_part(1, 2, completed=1), make_part(3, completed=1)
    rollout = freeze(
        make_stratified(
            make_stratified_wave(*parts), strategy=Strategy(success_share=percent(100))
        ),
        *strata,
    )
    wave = replace(rollout.waves[0], acknowledged_failed=1)
    message = evidence.below_share(rollout, wave).message
    assert ("Devices of frozen strata (small) are left out." in message) is is_told
    assert ("left out" in message) is is_told
    assert "1 failure before a retry is acknowledged." in message
    assert "100% must complete, which is 5" in message


def test_a_wave_with_only_frozen_devices_is_no_evidence_for_others() -> None:
    wave = make_wave(0, counts=Counts())
    assert evidence.needed_as_evidence(make_rollout(), wave) == 1
